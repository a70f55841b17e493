"""The page of `flame-ray report`: one HTML file about one run or several, which needs no network."""
