// What graphs are made of: each pattern adds a few nodes, most of them what some pass looks for, or nearly that.
#pragma once

#include <span>

#include "builder.h"

namespace hone::fuzz {

struct Pattern {
  const char* name;
  void (*build)(Builder&);
  int weight = 2;
};

std::span<const Pattern> patterns();

// One pattern by chance; false where it could not be built.
bool add_pattern(Builder& builder);

}  // namespace hone::fuzz
