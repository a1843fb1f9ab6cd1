// Writing TensorBoard event files.
#include "hone/report/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

#include "hone/support/error.h"
#include "hone/support/text.h"
#include "report/append_file.h"
#include "report/crc32c.h"
#include "report/tensorboard.pb.h"

namespace hone::report {
namespace {

double system_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Host, process, and a number that tells writers of one process apart.
std::string unique_suffix() {
  static std::atomic<int> count = 0;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return fmt::format("{}.{}.{}", host.data(), ::getpid(), count++);
}

template <typename Integer>
std::string little_endian(Integer value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

void add_dim(tensorboard::Tensor& tensor, std::int64_t size) {
  tensor.mutable_tensor_shape()->add_dim()->set_size(size);
}

void set_plugin(tensorboard::Summary::Value& value, const char* plugin, std::string content) {
  tensorboard::Metadata& metadata = *value.mutable_metadata();
  metadata.mutable_plugin_data()->set_plugin_name(plugin);
  metadata.mutable_plugin_data()->set_content(std::move(content));
  metadata.set_data_class(tensorboard::Metadata::TENSOR);
}

}  // namespace

struct EventWriter::State {
  std::function<double()> clock;
  std::optional<AppendFile> file;

  void write(tensorboard::Event& event) {
    event.set_wall_time(clock());
    std::string data;
    if (!event.SerializeToString(&data)) fail(ErrorKind::internal, "an event that can't be written");
    const std::string length = little_endian(static_cast<std::uint64_t>(data.size()));
    file->append(length + little_endian(masked_crc32c(length)) + data + little_endian(masked_crc32c(data)));
  }
  // Adds one value under a tag.
  template <typename Fill>
  void add(std::string_view tag, std::int64_t step, Fill&& fill) {
    tensorboard::Event event;
    event.set_step(step);
    tensorboard::Summary::Value& value = *event.mutable_summary()->add_value();
    // The format holds UTF-8; names from models may not be.
    value.set_tag(is_utf8(tag) ? std::string(tag) : printable(tag));
    fill(value);
    write(event);
  }
  void add_hparams(const char* tag, const tensorboard::HParamsPluginData& data) {
    add(tag, 0, [&](tensorboard::Summary::Value& value) {
      value.mutable_tensor()->set_dtype(tensorboard::Tensor::FLOAT);
      add_dim(*value.mutable_tensor(), 0);
      set_plugin(value, "hparams", data.SerializeAsString());
    });
  }
};

EventWriter::EventWriter(const std::string& folder, EventOptions options) : state_(std::make_unique<State>()) {
  state_->clock = options.clock ? std::move(options.clock) : system_time;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(ErrorKind::io, "making the folder {}: {}", hone::quote(folder), error.message());
  const std::string suffix = options.suffix.empty() ? unique_suffix() : options.suffix;
  const auto seconds = static_cast<std::int64_t>(state_->clock());
  state_->file.emplace(fmt::format("{}/events.out.tfevents.{:010d}.{}", folder, seconds, suffix), true);
  tensorboard::Event version;
  version.set_file_version("brain.Event:2");
  state_->write(version);
}

EventWriter::~EventWriter() = default;
EventWriter::EventWriter(EventWriter&&) noexcept = default;

const std::string& EventWriter::path() const { return state_->file->path(); }

void EventWriter::scalar(std::string_view tag, std::int64_t step, double value) {
  // The older of two forms: every reader knows it.
  state_->add(tag, step, [&](tensorboard::Summary::Value& out) { out.set_simple_value(static_cast<float>(value)); });
}

void EventWriter::histogram(std::string_view tag, std::int64_t step, std::span<const float> values,
                            std::size_t buckets) {
  float low = 0, high = 0;
  std::size_t finite = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    low = finite == 0 ? value : std::min(low, value);
    high = finite == 0 ? value : std::max(high, value);
    ++finite;
  }
  // Rows of left edge, right edge, count; one bucket when all values are the same, none without values.
  const std::size_t count = finite == 0 ? 0 : low == high ? 1 : std::max<std::size_t>(buckets, 1);
  const double width = low < high ? (static_cast<double>(high) - low) / static_cast<double>(count) : 0;
  std::vector<double> rows(3 * count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    rows[3 * i] = width == 0 ? low - 0.5 : low + width * static_cast<double>(i);
    rows[3 * i + 1] = width == 0 ? high + 0.5 : i + 1 == count ? high : low + width * static_cast<double>(i + 1);
  }
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const double place = width > 0 ? (static_cast<double>(value) - low) / width : 0;
    rows[3 * std::min(static_cast<std::size_t>(place), count - 1) + 2] += 1;
  }
  state_->add(tag, step, [&](tensorboard::Summary::Value& out) {
    tensorboard::Tensor& tensor = *out.mutable_tensor();
    tensor.set_dtype(tensorboard::Tensor::DOUBLE);
    add_dim(tensor, static_cast<std::int64_t>(count));
    add_dim(tensor, 3);
    std::string bytes;
    for (const double value : rows) bytes += little_endian(std::bit_cast<std::uint64_t>(value));
    tensor.set_tensor_content(std::move(bytes));
    set_plugin(out, "histograms", "");
  });
}

void EventWriter::text(std::string_view tag, std::int64_t step, std::string_view markdown) {
  state_->add(tag, step, [&](tensorboard::Summary::Value& out) {
    tensorboard::Tensor& tensor = *out.mutable_tensor();
    tensor.set_dtype(tensorboard::Tensor::STRING);
    tensor.add_string_val(is_utf8(markdown) ? std::string(markdown) : printable(markdown));
    add_dim(tensor, 1);
    set_plugin(out, "text", "");
  });
}

void EventWriter::hyperparameters(const std::vector<std::pair<std::string, HParam>>& values,
                                  const std::vector<std::string>& metrics) {
  tensorboard::HParamsPluginData experiment, start;
  for (const auto& [name, value] : values) {
    tensorboard::Experiment::Info& info = *experiment.mutable_experiment()->add_hparam_infos();
    info.set_name(name);
    info.set_type(static_cast<std::int32_t>(value.index()) + 1);
    tensorboard::SessionStartInfo::Entry& entry = *start.mutable_session_start_info()->add_hparams();
    entry.set_key(name);
    tensorboard::HParam& out = *entry.mutable_value();
    if (const auto* text = std::get_if<std::string>(&value)) out.set_string_value(*text);
    if (const auto* boolean = std::get_if<bool>(&value)) out.set_bool_value(*boolean);
    if (const auto* number = std::get_if<double>(&value)) out.set_number_value(*number);
  }
  for (const std::string& tag : metrics)
    experiment.mutable_experiment()->add_metric_infos()->mutable_name()->set_tag(tag);
  start.mutable_session_start_info()->set_start_time_secs(state_->clock());
  state_->add_hparams("_hparams_/experiment", experiment);
  state_->add_hparams("_hparams_/session_start_info", start);
}

void EventWriter::finish(bool success) {
  tensorboard::HParamsPluginData end;
  end.mutable_session_end_info()->set_status(success ? 1 : 2);
  end.mutable_session_end_info()->set_end_time_secs(state_->clock());
  state_->add_hparams("_hparams_/session_end_info", end);
}

}  // namespace hone::report
