// The smallest program over the library: which one is it?
#include <hone/support/version.h>

#include <iostream>

int main() { std::cout << "linked with hone " << hone::version() << "\n"; }
