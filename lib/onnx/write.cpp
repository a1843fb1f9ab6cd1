// Writing ONNX models. First the places of all tensors are settled, then external files are written, then the model.
//
// An external file never takes the place of another one, since other models may refer to that: a new one gets a name that
// nobody has, and one that holds the very bytes already is used as it is (so the same command twice gives the same model).
// Tensors that stay in the external file they were read from, where that lies beside the new model, are not copied.
#include "hone/onnx/write.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "hone/support/error.h"
#include "hone/support/file.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"
#include "onnx/emit.h"
#include "onnx/text_format.h"

namespace hone::onnx {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

std::string base_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

bool same_file(const File& file, const std::string& path) {
  struct stat of_path {
  }, of_file{};
  return file.descriptor() >= 0 && ::fstat(file.descriptor(), &of_file) == 0 && ::stat(path.c_str(), &of_path) == 0 &&
         of_path.st_dev == of_file.st_dev && of_path.st_ino == of_file.st_ino;
}

// A file beside the model, to be.
struct DataFile {
  std::string location;
  std::vector<std::pair<const ir::Tensor*, std::uint64_t>> parts;  // with offset, ascending, one for each range
  std::uint64_t size = 0;
  bool present = false;  // is there already, with the same bytes
};

struct Plan {
  Placements placements;
  std::vector<DataFile> files;
};

void put_zeros(Output& output, std::uint64_t count) {
  static const std::string zeros(4096, '\0');
  for (; count > 0; count -= std::min<std::uint64_t>(count, zeros.size())) {
    output.write(std::string_view(zeros).substr(0, std::min<std::uint64_t>(count, zeros.size())));
  }
}

void put_tensor(Output& output, const ir::Tensor& tensor) {
  Emitter counted;
  Emitter emitter(counted, output);
  emitter.data(tensor);
  emitter.flush();
}

// Whether the file at `path` holds what `file` is planned to hold.
bool holds_same(const DataFile& planned, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) != planned.size) {
    return false;
  }
  const auto file = File::open(path);
  constexpr std::uint64_t window = 1 << 20;
  std::vector<std::byte> left(window), right(window);
  std::uint64_t at = 0;
  const auto same = [&](const ir::Tensor* tensor, std::uint64_t begin, std::uint64_t length) {
    for (std::uint64_t done = 0; done < length; done += window) {
      check_interrupt();
      const std::size_t size = std::min(window, length - done);
      if (tensor) {
        tensor->read(done, {left.data(), size});
      } else {
        std::fill_n(left.begin(), size, std::byte{0});
      }
      file->read(begin + done, {right.data(), size});
      if (std::memcmp(left.data(), right.data(), size) != 0) return false;
    }
    return true;
  };
  for (const auto& [tensor, offset] : planned.parts) {
    if (!same(nullptr, at, offset - at) || !same(tensor, offset, tensor->byte_size())) return false;
    at = offset + tensor->byte_size();
  }
  return at == planned.size;
}

class Planner {
 public:
  Planner(const ir::Model& model, const std::string& path, const WriteOptions& options)
      : model_(model), path_(path), folder_(folder_of(path)), options_(options) {}

  // Tensors of external files stay external.
  Plan keep();
  // Tensors of at least the threshold become external; those in attributes, which not every tool can read from there, only
  // if `attributes`.
  Plan external(bool attributes);

 private:
  std::string base() const {
    if (options_.external_location.empty()) return base_name(path_) + ".data";
    const std::string& name = options_.external_location;
    if (name.find('/') != std::string::npos || name == "." || name == ".." || name.find('\\') != std::string::npos ||
        name.find('\0') != std::string::npos || name[0] == '~' || name.find(':') != std::string::npos) {
      usage_error(
          "{} can't be the name of the file for external data: it must be a plain file name, since the file lies "
          "beside the model",
          quote(name));
    }
    return name;
  }
  void add(DataFile& file, const ir::Tensor& tensor, std::optional<std::uint64_t> wish);
  void settle(DataFile& file, const std::string& name);

  const ir::Model& model_;
  const std::string& path_;
  std::string folder_;
  const WriteOptions& options_;
  Plan plan_;
  // Ranges already placed: tied weights are stored once.
  std::map<std::tuple<const void*, std::uint64_t, std::uint64_t>, const ir::Tensor*> placed_;
  std::set<std::string> names_;
};

void Planner::add(DataFile& file, const ir::Tensor& tensor, std::optional<std::uint64_t> wish) {
  const std::uint64_t length = tensor.byte_size();
  Placement placement{file.location, 0, length, nullptr};
  if (tensor.encoding == ir::Encoding::external) placement.source = tensor.external.get();
  std::tuple<const void*, std::uint64_t, std::uint64_t> key{&tensor, 0, length};
  if (const FileSlice* slice = tensor.file_slice()) {
    key = {slice->file.get(), slice->offset, length};
  } else if (tensor.is_deferred()) {
    key = {tensor.deferred_bytes().get(), 0, length};
  } else if (tensor.buffer()) {
    key = {tensor.bytes().data(), 0, length};
  }
  const auto [found, is_new] = placed_.try_emplace(key, &tensor);
  if (!is_new && plan_.placements.contains(found->second)) {
    placement.location = plan_.placements[found->second].location;
    placement.offset = plan_.placements[found->second].offset;
  } else {
    const std::uint64_t alignment = std::max<std::uint64_t>(options_.external_alignment, 1);
    // Where the tensor lay in the file it comes from is where it goes, if that wastes little.
    if (wish && *wish >= file.size && *wish - file.size <= 16 * alignment) {
      placement.offset = *wish;
    } else {
      placement.offset = (file.size + alignment - 1) / alignment * alignment;
    }
    file.parts.emplace_back(&tensor, placement.offset);
    file.size = placement.offset + length;
  }
  plan_.placements[&tensor] = std::move(placement);
}

// Finds a name for the file: `name`, or where another file has that, the name with a number.
void Planner::settle(DataFile& file, const std::string& name) {
  constexpr int most_names = 10000;
  for (int i = 0; i < most_names; ++i) {
    const std::string candidate = i == 0 ? name : fmt::format("{}.{}", name, i);
    if (names_.contains(candidate)) continue;
    const std::string path = folder_ + candidate;
    if (exists(path)) {
      if (!holds_same(file, path)) continue;
      file.present = true;
    }
    names_.insert(candidate);
    for (auto& [tensor, placement] : plan_.placements) {
      if (placement.location == file.location) placement.location = candidate;
    }
    file.location = candidate;
    return;
  }
  fail(ErrorKind::io, "{}{}: {} files of this name and with a number are there already", folder_, name, most_names);
}

Plan Planner::keep() {
  std::map<std::string, std::vector<const ir::Tensor*>> by_location;
  for_each_tensor(model_, [&](const ir::Tensor& tensor, bool) {
    if (tensor.encoding != ir::Encoding::external || !tensor.external || tensor.is_string()) return;
    const std::string& location = tensor.external->location;
    const FileSlice* slice = tensor.file_slice();
    if (slice && same_file(*slice->file, folder_ + location)) {
      plan_.placements[&tensor] = {location, slice->offset, slice->length, tensor.external.get()};
    } else {
      by_location[location].push_back(&tensor);
    }
  });
  for (auto& [location, tensors] : by_location) {
    const auto offset = [](const ir::Tensor* tensor) {
      return tensor->file_slice() ? tensor->file_slice()->offset : std::numeric_limits<std::uint64_t>::max();
    };
    std::stable_sort(tensors.begin(), tensors.end(),
                     [&](const ir::Tensor* a, const ir::Tensor* b) { return offset(a) < offset(b); });
    // A name that no file can have, until the file is settled.
    DataFile file{fmt::format("/{}", plan_.files.size()), {}, 0, false};
    for (const ir::Tensor* tensor : tensors) {
      add(file, *tensor, tensor->file_slice() ? std::optional(tensor->file_slice()->offset) : std::nullopt);
    }
    const bool plain = options_.external_location.empty() && location.find('/') == std::string::npos &&
                       location != "." && location != ".." && location != base_name(path_);
    settle(file, plain ? location : base());
    plan_.files.push_back(std::move(file));
  }
  return std::move(plan_);
}

Plan Planner::external(bool attributes) {
  std::vector<DataFile> files;
  for_each_tensor(model_, [&](const ir::Tensor& tensor, bool in_attribute) {
    if (tensor.is_string() || tensor.byte_size() < std::max<std::uint64_t>(options_.external_threshold, 1)) return;
    if (in_attribute && !attributes && tensor.encoding != ir::Encoding::external) return;
    if (files.empty() || (options_.shard_size > 0 && files.back().size > 0 &&
                          files.back().size + tensor.byte_size() > options_.shard_size)) {
      files.push_back({fmt::format("/{}", files.size()), {}, 0, false});
    }
    add(files.back(), tensor, std::nullopt);
  });
  for (std::size_t i = 0; i < files.size(); ++i) {
    settle(files[i], files.size() == 1 ? base() : fmt::format("{}-{:05}-of-{:05}", base(), i + 1, files.size()));
  }
  plan_.files = std::move(files);
  return std::move(plan_);
}

// Files written so far, which go again if the rest fails.
class Written {
 public:
  ~Written() {
    for (const std::string& path : paths_) ::unlink(path.c_str());
  }
  void add(std::string path) { paths_.push_back(std::move(path)); }
  void keep() { paths_.clear(); }

 private:
  std::vector<std::string> paths_;
};

void write_data(const DataFile& file, const std::string& path) {
  const auto output = Output::to_path(path);
  std::uint64_t at = 0;
  for (const auto& [tensor, offset] : file.parts) {
    check_interrupt();
    put_zeros(*output, offset - at);
    put_tensor(*output, *tensor);
    at = offset + tensor->byte_size();
  }
  output->commit();
}

Emitter counted(const ir::Model& model, const Placements& placements) {
  Emitter emitter;
  emit(emitter, model, placements);
  return emitter;
}

void emit_checked(const Emitter& count, const ir::Model& model, const Placements& placements, Output& output) {
  Emitter emitter(count, output);
  emit(emitter, model, placements);
  if (emitter.total() != count.total()) {
    fail(ErrorKind::internal, "{} bytes written where {} were counted", emitter.total(), count.total());
  }
}

[[noreturn]] void too_large(std::uint64_t size, const char* advice) {
  unsupported("the model takes {} in one file, and protobuf reads no more than 2 GiB: {}", human_bytes(size), advice);
}

void write_file_of(const ir::Model& model, const std::string& path, const WriteOptions& options) {
  Plan plan;
  if (options.external_data == ExternalData::keep) plan = Planner(model, path, options).keep();
  if (options.external_data == ExternalData::external) plan = Planner(model, path, options).external(false);
  Emitter count = counted(model, plan.placements);
  for (const bool attributes : {false, true}) {
    if (count.total() <= largest_model) break;
    if (options.external_data == ExternalData::inline_) {
      too_large(count.total(), "let the weights be kept in a file beside it");
    }
    plan = Planner(model, path, options).external(attributes);
    count = counted(model, plan.placements);
  }
  if (count.total() > largest_model) too_large(count.total(), "even without its weights it is too large");

  Written written;
  const std::string folder = folder_of(path);
  for (const DataFile& file : plan.files) {
    if (file.present) continue;
    write_data(file, folder + file.location);
    written.add(folder + file.location);
  }
  const auto output = Output::to_path(path);
  emit_checked(count, model, plan.placements, *output);
  output->commit();
  written.keep();
}

}  // namespace

void write(const ir::Model& model, const std::string& path, const WriteOptions& options) {
  const auto where = [&] { return "writing " + printable(path); };
  in_context(where, [&] {
    if (path == "-") {
      const auto output = Output::to_path(path);
      write(model, *output, options);
      output->commit();
    } else if (path.ends_with(".onnxtxt")) {
      write_file(path, to_text(model));
    } else {
      write_file_of(model, path, options);
    }
  });
}

void write(const ir::Model& model, Output& output, const WriteOptions& options) {
  if (options.external_data == ExternalData::external) {
    unsupported("external data needs a file to lie beside, and the model goes to a stream");
  }
  const Emitter count = counted(model, {});
  if (count.total() > largest_model)
    too_large(count.total(), "write it to a file, with its weights in another one beside it");
  emit_checked(count, model, {}, output);
}

std::string to_bytes(const ir::Model& model) {
  std::string bytes;
  const auto output = Output::to_string(bytes);
  write(model, *output);
  return bytes;
}

std::uint64_t serialized_size(const ir::Model& model) { return counted(model, {}).total(); }

}  // namespace hone::onnx
