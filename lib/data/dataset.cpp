// Opening data sets, choosing rows, shuffling and splitting.
#include "hone/data/dataset.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>

#include "data/readers.h"
#include "hone/data/bytes.h"
#include "hone/data/npy.h"
#include "hone/ir/dimension.h"
#include "hone/support/error.h"
#include "hone/support/random.h"
#include "hone/support/text.h"

namespace hone::data {
namespace {

using ir::ElementType;
using ir::Tensor;

// Streams of random numbers, apart from those that other parts of the library draw from the same seed.
constexpr std::uint64_t shuffle_stream = std::uint64_t{0x73687566} << 32,
                        split_stream = std::uint64_t{0x73706c69} << 32;

struct Contents {
  std::vector<Array> arrays;
  bool table = false;
  bool unnamed = false;  // one array that has no name of its own
};

// The name of an array that is alone in its file: "train-images" for dir/train-images.npy.gz.
std::string stem(const std::string& path) {
  std::filesystem::path name = std::filesystem::path(path).filename();
  if (lowercase(name.extension().string()) == ".gz") name = name.stem();
  const std::string result = name.stem().string();
  return result.empty() ? "data" : result;
}

// The first bytes, of the contents of a .gz file.
std::string first_bytes(const std::shared_ptr<const File>& file) {
  std::string start(16, '\0');
  const auto reader = open_bytes(file);
  std::size_t done = 0;
  while (done < start.size()) {
    const std::size_t count = reader->read(std::as_writable_bytes(std::span(start)).subspan(done));
    if (count == 0) break;
    done += count;
  }
  start.resize(done);
  return start;
}

bool is_idx(std::string_view start) {
  constexpr std::string_view types = "\x08\x09\x0b\x0c\x0d\x0e";
  return start.size() >= 4 && start[0] == '\0' && start[1] == '\0' && types.find(start[2]) != std::string_view::npos &&
         start[3] >= 0 && start[3] <= 8;
}

// What a file holds is seen by its first bytes; CSV, TSV and JSON lines, which have none of their own, by its name.
Contents read_contents(const std::string& path) {
  const std::shared_ptr<const File> file = path == "-" ? File::spool(STDIN_FILENO, "-") : File::open(path);
  const auto describe = [&] { return "reading " + hone::quote(path); };
  const std::string start = in_context(describe, [&] { return first_bytes(file); });
  const auto one = [&](Tensor tensor) {
    return Contents{{{stem(path), std::move(tensor), false, "array of " + hone::quote(path)}}, false, true};
  };
  if (start.starts_with("PK\3\4") || start.starts_with("PK\5\6")) {
    if (is_gzip(*file)) unsupported("reading {}: an .npz in a .gz", hone::quote(path));
    const NpzReader npz(file);
    Contents contents;
    for (const std::string& name : npz.names()) {
      contents.arrays.push_back({name, npz.read(name), false, "array " + hone::quote(name)});
    }
    return contents;
  }
  if (start.starts_with("\x93NUMPY")) return one(read_npy(file));

  std::string name = lowercase(path);
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  const std::size_t first = start.find_first_not_of(" \t\r\n");
  return in_context(describe, [&]() -> Contents {
    if (start.empty()) bad_input("the file is empty");
    if (is_idx(start)) return one(read_idx(file));
    if (name.ends_with(".jsonl") || name.ends_with(".ndjson")) return {read_jsonl(file), true, false};
    if (name.ends_with(".csv")) return {read_csv(file, ','), true, false};
    if (name.ends_with(".tsv")) return {read_csv(file, '\t'), true, false};
    if (path == "-") {
      if (first != std::string::npos && start[first] == '{') return {read_jsonl(file), true, false};
      if (start.find('\0') == std::string::npos) return {read_csv(file, ','), true, false};
    }
    bad_input("not a data file that hone reads (.npz, .npy, .csv, .tsv, .jsonl, IDX, each but .npz also with .gz)");
  });
}

// NAME=FILE, where there is no file of that whole name.
Contents read_source(const std::string& source) {
  const std::size_t equals = source.find('=');
  std::error_code ignored;
  if (equals == std::string::npos || equals == 0 || std::filesystem::exists(source, ignored))
    return read_contents(source);
  Contents contents = read_contents(source.substr(equals + 1));
  if (contents.arrays.size() != 1) {
    usage_error("{}: a name can be given only to the array of a file that holds one", hone::quote(source));
  }
  contents.arrays[0].name = source.substr(0, equals);
  contents.arrays[0].origin = "array " + hone::quote(contents.arrays[0].name);
  contents.unnamed = false;
  return contents;
}

std::vector<std::string> names_of(const std::vector<Array>& arrays) {
  std::vector<std::string> names;
  for (const Array& array : arrays) names.push_back(array.name);
  return names;
}

std::string list(const std::vector<std::string>& names) {
  constexpr std::size_t most = 20;
  std::string all;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) all += (i ? ", " : "") + hone::quote(names[i]);
  return names.size() > most ? fmt::format("{} and {} more", all, names.size() - most) : all;
}

// Replaces text by the index of its class.
void number_classes(Array& label, std::vector<std::string>& classes, bool given) {
  const auto& texts = *label.values.string_values();
  if (!given) {
    classes = texts;
    std::sort(classes.begin(), classes.end());
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  }
  std::map<std::string_view, std::int64_t> places;
  for (std::size_t i = 0; i < classes.size(); ++i) places.emplace(classes[i], static_cast<std::int64_t>(i));
  std::vector<std::int64_t> indices;
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const auto place = places.find(texts[row]);
    if (place == places.end()) {
      bad_input("label {}, row {}: {} is none of the classes {}", hone::quote(label.name), row + 1,
                hone::quote(texts[row]), list(classes));
    }
    indices.push_back(place->second);
  }
  label.values = Tensor::of<std::int64_t>(label.values.dims(), indices);
}

}  // namespace

Dataset Dataset::open(const std::vector<std::string>& sources, const DatasetOptions& options) {
  if (sources.empty()) usage_error("no data file given");
  Contents all;
  std::string source;
  for (const std::string& each : sources) {
    Contents contents = read_source(each);
    all.table |= contents.table;
    for (Array& array : contents.arrays) all.arrays.push_back(std::move(array));
    source += (source.empty() ? "" : ", ") + each;
  }
  const auto names = names_of(all.arrays);
  const bool known = std::find(names.begin(), names.end(), options.label) != names.end();
  std::error_code ignored;
  if (!options.label.empty() && !known && std::filesystem::exists(options.label, ignored)) {
    Contents label = read_contents(options.label);
    if (label.arrays.size() != 1) {
      usage_error(
          "label file {}: it holds {} arrays; give the file with --data, and the name of its array as the label",
          hone::quote(options.label), label.arrays.size());
    }
    label.arrays[0].name = options.label;
    all.arrays.push_back(std::move(label.arrays[0]));
  }
  return of(std::move(all.arrays), options, all.table, source);
}

Dataset Dataset::of(std::vector<Array> arrays, const DatasetOptions& options, bool table, std::string source) {
  auto shared = std::make_shared<Shared>();
  shared->source = std::move(source);
  shared->table = table;
  const auto describe = [&] { return "data " + hone::quote(shared->source); };
  in_context(describe, [&] {
    if (arrays.empty()) bad_input("no arrays");
    std::vector<std::string> names = names_of(arrays);
    for (Array& array : arrays) {
      if (array.origin.empty()) array.origin = "array " + hone::quote(array.name);
      if (array.values.rank() == 0) bad_input("{} is one number, where every array needs a row a sample", array.origin);
      if (array.values.dims()[0] != arrays[0].values.dims()[0]) {
        bad_input("{} has {} rows, {} has {}", arrays[0].origin, arrays[0].values.dims()[0], array.origin,
                  array.values.dims()[0]);
      }
      if (std::count(names.begin(), names.end(), array.name) > 1)
        bad_input("two arrays are called {}", hone::quote(array.name));
    }
    shared->rows = arrays[0].values.dims()[0];
    if (shared->rows == 0) bad_input("no rows");
    if (!options.label.empty()) {
      const auto label =
          std::find_if(arrays.begin(), arrays.end(), [&](const auto& a) { return a.name == options.label; });
      if (label == arrays.end()) {
        const std::string close = nearest(options.label, names);
        usage_error("no label {}{}; there are {}", hone::quote(options.label),
                    close.empty() ? "" : fmt::format(" (did you mean {}?)", hone::quote(close)), list(names));
      }
      shared->label = std::move(*label);
      arrays.erase(label);
      shared->classes = options.classes;
      if (shared->label->values.is_string()) {
        number_classes(*shared->label, shared->classes, !options.classes.empty());
      }
    }
    shared->arrays = std::move(arrays);
  });
  Dataset result;
  result.shared_ = std::move(shared);
  if (!options.rows.empty()) return result.select(parse_rows(options.rows, result.rows()));
  return result;
}

std::int64_t Dataset::rows() const { return selected_ ? static_cast<std::int64_t>(selected_->size()) : shared_->rows; }

const Array* Dataset::find(std::string_view name) const {
  for (const Array& array : shared_->arrays) {
    if (array.name == name) return &array;
  }
  return nullptr;
}

Tensor Dataset::take(const Array& array, std::span<const std::int64_t> rows) const {
  std::vector<std::int64_t> own;
  if (selected_) {
    own.reserve(rows.size());
    for (const std::int64_t row : rows) own.push_back(source_row(row));
    rows = own;
  }
  return in_context([&] { return fmt::format("data {}: {}", hone::quote(source()), array.origin); },
                    [&] { return take_rows(array.values, rows); });
}

Tensor Dataset::labels(std::span<const std::int64_t> rows) const {
  if (!label()) usage_error("the data {} have no label: name it with --label", hone::quote(source()));
  return take(*label(), rows);
}

Tensor Dataset::labels() const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(rows()));
  std::iota(all.begin(), all.end(), 0);
  return labels(all);
}

std::int64_t Dataset::source_row(std::int64_t row) const {
  return selected_ ? selected_->at(static_cast<std::size_t>(row)) : row;
}

Dataset Dataset::select(std::vector<std::int64_t> rows) const {
  for (std::int64_t& row : rows) {
    if (row < 0 || row >= this->rows()) usage_error("row {} of {}", row, this->rows());
    if (selected_) row = (*selected_)[static_cast<std::size_t>(row)];
  }
  Dataset result = *this;
  result.selected_ = std::make_shared<const std::vector<std::int64_t>>(std::move(rows));
  return result;
}

Tensor take_rows(const Tensor& tensor, std::span<const std::int64_t> rows) {
  ir::Dims dims = tensor.dims();
  const std::int64_t all = dims.empty() ? 0 : dims[0];
  for (const std::int64_t row : rows) {
    if (row < 0 || row >= all) fail(ErrorKind::internal, "row {} of a tensor of shape {}", row, ir::text(dims));
  }
  dims[0] = static_cast<std::int64_t>(rows.size());
  const std::int64_t per_row = all == 0 ? 0 : tensor.element_count() / all;
  if (tensor.is_string()) {
    std::vector<std::string> texts;
    const auto& values = *tensor.string_values();
    for (const std::int64_t row : rows) {
      texts.insert(texts.end(), values.begin() + row * per_row, values.begin() + (row + 1) * per_row);
    }
    return Tensor::strings(std::move(dims), std::move(texts));
  }
  if (ir::is_sub_byte(tensor.type())) unsupported("rows of {}", ir::name(tensor.type()));
  Tensor result = Tensor::allocate(tensor.type(), std::move(dims));
  const auto out = result.mutable_bytes();
  const auto size = static_cast<std::size_t>(per_row) * ir::bit_width(tensor.type()) / 8;
  if (size == 0) return result;
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t run = 1;
    while (i + run < rows.size() && rows[i + run] == rows[i] + static_cast<std::int64_t>(run)) ++run;
    tensor.read(static_cast<std::uint64_t>(rows[i]) * size, out.subspan(i * size, run * size));
    i += run;
  }
  if (result.type() == ElementType::boolean) {
    for (std::byte& byte : out) byte = byte == std::byte{0} ? std::byte{0} : std::byte{1};
  }
  return result;
}

std::vector<std::int64_t> parse_rows(std::string_view text, std::int64_t count) {
  std::vector<std::int64_t> rows;
  const auto whole = hone::quote(text);
  const auto number = [&](std::string_view part, std::int64_t otherwise) {
    if (part.empty()) return otherwise;
    const auto value = parse_int64(part);
    if (!value) {
      usage_error("rows {}: {} is no number (rows are A:B, from A up to before B, counted from 0)", whole,
                  hone::quote(part));
    }
    return *value < 0 ? *value + count : *value;
  };
  for (const std::string_view part : split(text, ',')) {
    const std::size_t colon = part.find(':');
    std::int64_t begin = 0, end = 0;
    if (colon == std::string_view::npos) {
      if (part.empty()) usage_error("rows {}: an empty part", whole);
      begin = number(part, 0);
      end = begin + 1;
    } else {
      begin = number(part.substr(0, colon), 0);
      end = number(part.substr(colon + 1), count);
    }
    if (begin < 0 || end > count || begin >= end)
      usage_error("rows {}: {} of {} rows", whole, hone::quote(part), count);
    for (std::int64_t row = begin; row < end; ++row) rows.push_back(row);
  }
  return rows;
}

namespace {

void shuffle(std::vector<std::int64_t>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

}  // namespace

std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, shuffle_stream + epoch);
  shuffle(order, random);
  return order;
}

std::pair<Dataset, Dataset> hold_out(const Dataset& data, double fraction, std::uint64_t seed) {
  const std::int64_t rows = data.rows();
  if (!(fraction > 0 && fraction < 1)) usage_error("a part of {} of the rows: it must lie between 0 and 1", fraction);
  if (rows < 2) usage_error("one row can't be split in two parts");
  // Rows by class; all in one where the label is no class.
  std::map<std::int64_t, std::vector<std::int64_t>> groups;
  const Array* label = data.label();
  std::vector<std::int64_t> classes;
  if (label && label->values.rank() <= 2 && label->values.element_count() == label->values.dims()[0] &&
      (ir::is_integer(label->values.type()) || label->values.type() == ElementType::boolean)) {
    classes = data.labels().to_ints();
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    groups[classes.empty() ? 0 : classes[static_cast<std::size_t>(row)]].push_back(row);
  }
  const auto wanted = std::clamp<std::int64_t>(std::llround(fraction * static_cast<double>(rows)), 1, rows - 1);
  struct Share {
    std::vector<std::int64_t>* group;
    std::int64_t count;
    double remainder;
  };
  std::vector<Share> shares;
  std::int64_t given = 0;
  for (auto& [label_class, group] : groups) {
    const double exact = static_cast<double>(wanted) * static_cast<double>(group.size()) / static_cast<double>(rows);
    const auto count = static_cast<std::int64_t>(std::floor(exact));
    shares.push_back({&group, count, exact - std::floor(exact)});
    given += count;
  }
  std::vector<std::size_t> order(shares.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return shares[a].remainder > shares[b].remainder; });
  for (std::size_t i = 0; given < wanted; i = (i + 1) % order.size()) {
    Share& share = shares[order[i]];
    if (share.count < static_cast<std::int64_t>(share.group->size())) ++share.count, ++given;
  }
  std::vector<std::int64_t> first, second;
  Random random(seed, split_stream);
  for (Share& share : shares) {
    shuffle(*share.group, random);
    second.insert(second.end(), share.group->begin(), share.group->begin() + share.count);
    first.insert(first.end(), share.group->begin() + share.count, share.group->end());
  }
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  return {data.select(std::move(first)), data.select(std::move(second))};
}

}  // namespace hone::data
