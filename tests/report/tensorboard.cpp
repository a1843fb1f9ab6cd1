// Event files: framing, checksums, and what the records hold.
#include "hone/report/tensorboard.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "hone/report/metrics_log.h"
#include "hone/support/error.h"
#include "report/crc32c.h"
#include "report/tensorboard.pb.h"
#include "temporary_folder.h"

namespace hone::report {
namespace {

std::uint64_t number(const std::string& bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

std::vector<tensorboard::Event> read(const std::string& bytes) {
  std::vector<tensorboard::Event> events;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t length = number(bytes, at, 8);
    CHECK(number(bytes, at + 8, 4) == masked_crc32c(bytes.substr(at, 8)));
    const std::string data = bytes.substr(at + 12, length);
    CHECK(number(bytes, at + 12 + length, 4) == masked_crc32c(data));
    REQUIRE(events.emplace_back().ParseFromString(data));
    at += 16 + length;
  }
  return events;
}

}  // namespace

TEST_CASE("crc32c") {
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(masked_crc32c("\x1a\x11"
                      "CRC test, one two") == 0x5794d08a);
}

TEST_CASE("events are framed, in order, and the same for the same clock") {
  const testing::TemporaryFolder folder;
  const auto write = [&](const std::string& name) {
    double now = 1700000000.25;
    EventWriter writer(folder.path(name), {[&now] { return now += 1; }, "host.1"});
    writer.hyperparameters({{"lr", 0.1}, {"mask", true}, {"optimizer", std::string("adam")}}, {"loss"});
    writer.scalar("loss", 3, 0.5);
    writer.scalar("bad \xff tag", 4, std::nan(""));
    const std::vector<float> values = {0, 1, 2, 3, 4, INFINITY, NAN};
    writer.histogram("weights", 3, values, 4);
    writer.histogram("same", 3, std::vector<float>(5, 2.0f));
    writer.histogram("none", 3, {});
    writer.text("notes", 0, "*hello*");
    writer.finish(true);
    CHECK(writer.path() == folder.path(name) + "/events.out.tfevents.1700000001.host.1");
    return folder.read(name + "/events.out.tfevents.1700000001.host.1");
  };
  const std::string bytes = write("a");
  CHECK(bytes == write("b"));
  const auto events = read(bytes);
  REQUIRE(events.size() == 10);
  CHECK(events[0].file_version() == "brain.Event:2");
  CHECK(events[0].wall_time() == 1700000002.25);
  CHECK(events[3].summary().value(0).tag() == "loss");
  CHECK(events[3].summary().value(0).simple_value() == 0.5f);
  CHECK(events[3].step() == 3);
  CHECK(events[4].summary().value(0).tag() == "bad \\xff tag");
  const auto& histogram = events[5].summary().value(0);
  CHECK(histogram.metadata().plugin_data().plugin_name() == "histograms");
  CHECK(histogram.tensor().tensor_shape().dim(0).size() == 4);
  std::vector<double> rows(12);
  REQUIRE(histogram.tensor().tensor_content().size() == 96);
  std::memcpy(rows.data(), histogram.tensor().tensor_content().data(), 96);
  CHECK(rows == std::vector<double>{0, 1, 1, 1, 2, 1, 2, 3, 1, 3, 4, 2});
  CHECK(events[6].summary().value(0).tensor().tensor_shape().dim(0).size() == 1);
  CHECK(events[7].summary().value(0).tensor().tensor_shape().dim(0).size() == 0);
  CHECK(events[8].summary().value(0).tensor().string_val(0) == "*hello*");
}

TEST_CASE("a metrics log starts anew or goes on") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("log.jsonl");
  {
    MetricsLog log(path);
    log.write(0, {{"epoch", 0}, {"loss", 0.5}});
    log.write(1, {{"epoch", 0}, {"loss", NAN}});
    log.write(2, {{"epoch", 1}, {"loss", 0.25}});
  }
  CHECK(folder.read("log.jsonl") ==
        "{\"step\":0,\"epoch\":0,\"loss\":0.5}\n{\"step\":1,\"epoch\":0,\"loss\":null}\n"
        "{\"step\":2,\"epoch\":1,\"loss\":0.25}\n");
  folder.write("log.jsonl", folder.read("log.jsonl") + "{\"step\":3,\"ep");
  {
    MetricsLog log(path, 2);
    log.write(2, {{"loss", 0.125}});
  }
  CHECK(folder.read("log.jsonl") ==
        "{\"step\":0,\"epoch\":0,\"loss\":0.5}\n{\"step\":1,\"epoch\":0,\"loss\":null}\n{\"step\":2,\"loss\":0.125}\n");
  MetricsLog anew(path);
  CHECK(folder.read("log.jsonl").empty());
  CHECK_THROWS_AS(MetricsLog(folder.path("no/such/folder.jsonl")), Error);
}

}  // namespace hone::report
