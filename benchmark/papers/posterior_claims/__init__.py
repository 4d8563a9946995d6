"""What six papers claim about the robustness of posteriors, judged on the study of every kind of posterior.

One folder for six papers: they speak of the same networks, so their claims are statements about the same tables, and
folders of their own would be six copies of this one that differ in a page of words.
"""
