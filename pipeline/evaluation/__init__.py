"""Still images: networks measured as in the literature, what they cost, and images rescaled without a reference.

`evaluate.py` and `complexity.py` are behind `irn-eval`, `rescale.py` is behind `irn-rescale`.
"""
