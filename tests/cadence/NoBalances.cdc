/// A contract that has no `getUserBalance`: what an operator meets who configured the wrong one.
///
access(all) contract NoBalances {}
