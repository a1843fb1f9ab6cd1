#include "hone/support/observer.h"

#include <catch2/catch.hpp>

TEST_CASE("the silent observer takes everything") {
  hone::silent().message(hone::Level::warning, "unheard");
  hone::silent().progress("unseen", 1, 2, "");
  CHECK(&hone::silent() == &hone::silent());
}
