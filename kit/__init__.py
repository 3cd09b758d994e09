"""What every service is made of. It knows no business word.

Deliberately empty of imports: the supervisor uses `kit.config` without paying for Flask.
"""
