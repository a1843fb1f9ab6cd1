// Schedules as text, with a warm-up, and the one that watches the loss; tests/train/oracle.cpp has the rest.
#include "hone/train/schedule.h"

#include <catch2/catch.hpp>

#include "hone/support/error.h"

namespace hone::train {

using Catch::Matchers::Contains;

TEST_CASE("a schedule's text is read back") {
  for (const char* each :
       {"constant", "step:every=5,factor=0.5", "multistep:at=10+20.5,factor=0.1", "exponential:factor=0.9",
        "cosine:end=0.01", "polynomial:power=2,end=0", "plateau:patience=3,factor=0.5", "cosine:end=0,warm-up=1.5"}) {
    CHECK(text(parse_schedule(each)) == each);
  }
  CHECK(text(parse_schedule("cosine")) == "cosine:end=0");
  CHECK(text(parse_schedule("step")) == "step:every=10,factor=0.1");
}

TEST_CASE("what is no schedule") {
  for (const auto& [wrong, says] :
       std::initializer_list<std::pair<const char*, const char*>>{{"cosin", "Did you mean cosine"},
                                                                  {"", "no schedule is called"},
                                                                  {"step:every", "every"},
                                                                  {"step:every=0", "every=0"},
                                                                  {"step:factor=2", "factor=2"},
                                                                  {"cosine:factor=0.5", "takes no 'factor'"},
                                                                  {"multistep", "at="},
                                                                  {"multistep:at=a", "at=a"},
                                                                  {"cosine:warm-up=-1", "warm-up"},
                                                                  {"constant:", "takes no"},
                                                                  {"plateau:patience=nan", "patience"}}) {
    CHECK_THROWS_WITH(parse_schedule(wrong), Contains(says));
  }
}

TEST_CASE("a warm-up rises in equal steps, none of them of rate 0, and the rest is what comes after") {
  const Schedule schedule(parse_schedule("constant:warm-up=1"), 1.0, 4, 3);
  CHECK(schedule.rate(0) == Approx(0.2));
  CHECK(schedule.rate(3) == Approx(0.8));
  CHECK(schedule.rate(4) == 1.0);
  const Schedule cosine(parse_schedule("cosine:end=0.1,warm-up=1"), 1.0, 4, 3);
  CHECK(cosine.rate(4) == 1.0);
  CHECK(cosine.rate(8) == Approx(0.55));
  CHECK(cosine.rate(12) == Approx(0.1));
  CHECK(cosine.rate(100) == Approx(0.1));
}

TEST_CASE("a plateau lowers the rate after so many epochs without a better loss") {
  Schedule schedule(parse_schedule("plateau:patience=1,factor=0.5"), 1.0, 2, 10);
  for (const double loss : {1.0, 0.9, 0.89999, 0.95}) schedule.epoch_ended(loss);  // the third is no better
  CHECK(schedule.rate(0) == 0.5);
  schedule.epoch_ended(0.5);
  CHECK(schedule.rate(0) == 0.5);
  Schedule resumed(parse_schedule("plateau:patience=1,factor=0.5"), 1.0, 2, 10);
  resumed.set_state(schedule.state());
  CHECK(resumed.rate(0) == 0.5);
}

}  // namespace hone::train
