#include "reader.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "data/readers.h"
#include "hone/data/npy.h"
#include "hone/metrics/gate.h"
#include "hone/onnx/check.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/passes/passes.h"
#include "hone/support/buffer.h"
#include "hone/support/error.h"

namespace hone::fuzz {
namespace {

constexpr std::uint64_t kMemory = 256 << 20;  // less than what a CI machine has to spare, more than any input needs

void look_at(const ir::Tensor& tensor) {
  if (tensor.is_string() || tensor.byte_size() > (1 << 20)) return;
  (void)tensor.loaded();
}

void use_model(const ir::Model& model) {
  (void)onnx::lint(model);
  const std::string bytes = onnx::to_bytes(model);
  const ir::Model again = onnx::read(File::from_memory(bytes, "again.onnx"));
  if (onnx::to_bytes(again) != bytes) throw std::logic_error("a model is not the same when written and read again");
  for (const int level : {1, 2}) {
    ir::Model changed = model.clone();
    rewrite::PipelineOptions options;
    options.verify_ir = true;
    options.pass.fold_limit = 4096;
    options.rewrite_limit = 500;
    (void)rewrite::run_pipeline(changed, passes::pipeline(level), options);
    (void)onnx::read(File::from_memory(onnx::to_bytes(changed), "changed.onnx"));
  }
}

void read_kind(char kind, std::string_view rest) {
  const auto file = [&](const char* name) { return File::from_memory(std::string(rest), name); };
  switch (kind) {
    case 't':
      use_model(onnx::read_text(rest));
      break;
    case 'n':
      look_at(data::read_npy(file("x.npy")));
      break;
    case 'z': {
      const data::NpzReader reader(file("x.npz"));
      for (const std::string& name : reader.names()) look_at(reader.read(name));
      break;
    }
    case 'c':
      (void)data::read_csv(file("x.csv"), ',');
      (void)data::read_csv(file("x.tsv"), '\t');
      break;
    case 'j':
      (void)data::read_jsonl(file("x.jsonl"));
      break;
    case 'i':
      look_at(data::read_idx(file("x.idx")));
      break;
    case 'g':
      (void)metrics::parse_gate(rest);
      break;
    case 'p':
      (void)rewrite::parse_pipeline(rest, passes::list());
      break;
    default:
      use_model(onnx::read(file("x.onnx")));
      break;
  }
}

const char* kWords[] = {"-1",
                        "0",
                        "1",
                        "2147483647",
                        "9223372036854775807",
                        "-9223372036854775808",
                        "nan",
                        "inf",
                        "1e999",
                        "\"",
                        "(",
                        ")",
                        "<",
                        ">",
                        "{",
                        "}",
                        "[",
                        "]",
                        ",",
                        "=",
                        "\n",
                        "float",
                        "int64",
                        "seq(float[2])",
                        "optional(float)",
                        "%",
                        "drop",
                        "ratio",
                        "Reshape",
                        "Identity",
                        "If",
                        "Loop",
                        "\xff",
                        ""};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-'; }

}  // namespace

void read_bytes(std::string_view bytes) {
  if (bytes.empty()) return;
  set_memory_limit(kMemory);
  try {
    read_kind(bytes[0], bytes.substr(1));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) throw std::logic_error("internal error: " + error.message());
    if (error.message().find('\n') != std::string::npos)
      throw std::logic_error("a message of two lines: " + error.message());
  } catch (const std::bad_alloc&) {
    throw std::logic_error("memory was asked for without a limit");
  }
}

std::string mutate(std::string bytes, const std::vector<std::string>& corpus, Random& random) {
  const auto below = [&](std::size_t bound) {
    return static_cast<std::size_t>(random.below(std::max<std::size_t>(bound, 1)));
  };
  for (std::size_t i = 1 + below(4); i > 0; --i) {
    if (bytes.size() < 2) return bytes;
    const std::size_t at = 1 + below(bytes.size() - 1),
                      length = std::min(1 + below(below(3) ? 8 : 64), bytes.size() - at);
    switch (below(10)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(1 + below(bytes.size() - 1), length));
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5: {
        static constexpr unsigned char kEdges[] = {0, 1, 0x7f, 0x80, 0xff, 0x10, 0x0a, 0x12};
        bytes[at] = static_cast<char>(kEdges[below(std::size(kEdges))]);
        break;
      }
      case 6: {  // a part of another input of the same kind
        const std::string& other = corpus[below(corpus.size())];
        if (other.size() < 2 || other[0] != bytes[0]) break;
        const std::size_t from = 1 + below(other.size() - 1);
        bytes.replace(at, below(2) ? length : 0, other.substr(from, 1 + below(64)));
        break;
      }
      default: {  // a word or number
        std::size_t begin = at, end = at;
        while (begin > 1 && is_word(bytes[begin - 1])) --begin;
        while (end < bytes.size() && is_word(bytes[end])) ++end;
        std::string word = kWords[below(std::size(kWords))];
        if (below(3) == 0) {  // another one of this input
          std::size_t from = 1 + below(bytes.size() - 1), to = from;
          while (from > 1 && is_word(bytes[from - 1])) --from;
          while (to < bytes.size() && is_word(bytes[to])) ++to;
          word = bytes.substr(from, to - from);
        }
        bytes.replace(begin, end - begin, word);
      }
    }
  }
  return bytes;
}

std::vector<std::string> read_corpus(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  // A model that is there as text is tried as a file, too.
  for (std::size_t i = 0, texts = corpus.size(); i < texts; ++i) {
    if (!corpus[i].starts_with('t')) continue;
    try {
      corpus.push_back('m' + onnx::to_bytes(onnx::read_text(std::string_view(corpus[i]).substr(1))));
    } catch (const Error&) {
      // Some are wrong on purpose.
    }
  }
  return corpus;
}

}  // namespace hone::fuzz
