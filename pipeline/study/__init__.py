"""Bandwidth against quality: methods and rates on clips, measured, concluded from and reported.

    plan.py → runner.py (cells.py, store.py) → results.py → conclusions.py → report.py

Everything here may use sender and receiver, since what is measured is what users run.
"""
