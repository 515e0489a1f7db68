"""Many runs that differ in a few settings: which, one after another, and what they come to beside each other."""
