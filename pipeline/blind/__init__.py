"""A blind comparison: two of several versions of a clip at a time, side by side, and which one an observer prefers.

entrants.py (the folder) → session.py (who is shown what) → showing.py (what a browser plays) → server.py → page/
answers.py (what was chosen) → scores.py (bradley_terry.py)
"""
