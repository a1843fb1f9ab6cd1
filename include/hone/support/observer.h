// How the library speaks: it reports to an Observer and never prints.
#pragma once

#include <cstdint>
#include <string_view>

namespace hone {

enum class Level { debug, info, warning };

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void message(Level, std::string_view) {}
  // Progress of a long piece of work: `done` of `total` units (total 0: unknown), and a short text such as
  // "epoch 3/20  loss 0.143".
  virtual void progress(std::string_view /*what*/, std::uint64_t /*done*/, std::uint64_t /*total*/,
                        std::string_view /*detail*/) {}
};

// One that says nothing.
Observer& silent();

}  // namespace hone
