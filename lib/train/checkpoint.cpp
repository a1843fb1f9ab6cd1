#include "train/checkpoint.h"

#include <sys/stat.h>

#include <array>
#include <cstring>

#include "hone/data/npy.h"
#include "hone/data/zip.h"
#include "hone/support/error.h"
#include "hone/support/file.h"
#include "hone/support/output.h"

namespace hone::train {
namespace {

constexpr const char* format = "hone-checkpoint";
constexpr int version = 1;

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 || errno != ENOENT;
}

// Reads every member to its end, where the archive's checksum is compared.
void verify(const std::shared_ptr<const File>& file) {
  const data::ZipReader zip(file);
  std::vector<std::byte> window(1 << 20);
  for (const data::ZipMember& member : zip.members()) {
    const auto reader = zip.open(member);
    while (reader->read(window) > 0) {
    }
  }
}

}  // namespace

const ir::Tensor* Checkpoint::find(std::string_view name) const {
  for (const auto& [each, tensor] : arrays) {
    if (each == name) return &tensor;
  }
  return nullptr;
}

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  nlohmann::json state = checkpoint.state;
  state["format"] = format;
  state["version"] = version;
  const std::string text = state.dump();
  ir::Tensor bytes = ir::Tensor::allocate(ir::ElementType::uint8, {static_cast<std::int64_t>(text.size())});
  std::memcpy(bytes.mutable_bytes().data(), text.data(), text.size());
  const std::unique_ptr<Output> output = Output::to_path(path);
  data::NpzWriter writer(*output);
  writer.add("state", bytes);
  for (const auto& [name, tensor] : checkpoint.arrays) writer.add(name, tensor);
  writer.finish();
  output->commit();
}

std::optional<Checkpoint> read_checkpoint(const std::string& path) {
  if (!exists(path)) return std::nullopt;
  return in_context([&] { return fmt::format("reading the checkpoint {}", printable(path)); },
                    [&] {
                      const std::shared_ptr<const File> file = File::open(path);
                      verify(file);
                      const data::NpzReader reader(file);
                      if (!reader.has("state")) bad_input("this is no checkpoint: it has no state");
                      const ir::Tensor bytes = reader.read("state").loaded();
                      Checkpoint checkpoint;
                      const auto raw = bytes.bytes();
                      checkpoint.state =
                          nlohmann::json::parse(reinterpret_cast<const char*>(raw.data()),
                                                reinterpret_cast<const char*>(raw.data()) + raw.size(), nullptr, false);
                      if (!checkpoint.state.is_object() || checkpoint.state.value("format", "") != format)
                        bad_input("this is no checkpoint");
                      if (checkpoint.state.value("version", 0) != version) {
                        unsupported("a checkpoint of version {}; this build reads {}",
                                    checkpoint.state.value("version", 0), version);
                      }
                      for (const std::string& name : reader.names()) {
                        if (name != "state") checkpoint.arrays.emplace_back(name, reader.read(name).loaded());
                      }
                      return std::optional(std::move(checkpoint));
                    });
}

}  // namespace hone::train
