// Matching arrays to the inputs of a model, and reading batches of them.
#include "hone/data/feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "data/convert.h"
#include "hone/ir/dimension.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::data {
namespace {

using ir::ElementType;
using ir::Tensor;
using Layout = Preprocess::Layout;

bool is_number(const ir::Dimension& dimension, std::int64_t value) { return dimension.number() == value; }

// The shape a row takes: its own dimensions and those wanted in the same order, apart from dimensions of 1. Tries to keep
// dimensions before it drops or adds one.
class Alignment {
 public:
  Alignment(const ir::Dims& row, std::span<const ir::Dimension> wanted)
      : row_(row), wanted_(wanted), failed_((row.size() + 1) * (wanted.size() + 1), false) {}

  std::optional<ir::Dims> find() {
    ir::Dims result;
    return align(0, 0, result) ? std::optional(result) : std::nullopt;
  }

 private:
  bool align(std::size_t i, std::size_t j, ir::Dims& result) {
    if (i == row_.size() && j == wanted_.size()) return true;
    if (failed_[i * (wanted_.size() + 1) + j]) return false;
    const auto step = [&](std::int64_t dim, std::size_t next_i, std::size_t next_j) {
      if (dim >= 0) result.push_back(dim);
      if (align(next_i, next_j, result)) return true;
      if (dim >= 0) result.pop_back();
      return false;
    };
    const bool has_row = i < row_.size(), has_wanted = j < wanted_.size();
    if (has_row && has_wanted && (!wanted_[j].is_number() || is_number(wanted_[j], row_[i]))) {
      if (step(row_[i], i + 1, j + 1)) return true;
    }
    if (has_wanted && is_number(wanted_[j], 1) && step(1, i, j + 1)) return true;
    if (has_row && row_[i] == 1 && step(-1, i + 1, j)) return true;
    failed_[i * (wanted_.size() + 1) + j] = true;
    return false;
  }

  const ir::Dims& row_;
  std::span<const ir::Dimension> wanted_;
  std::vector<bool> failed_;
};

std::int64_t product(const ir::Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

std::optional<ir::Dims> fit(const ir::Dims& row, const std::optional<ir::Shape>& shape) {
  if (!shape) return row;
  const std::span<const ir::Dimension> wanted = std::span(*shape).subspan(1);
  if (auto aligned = Alignment(row, wanted).find()) return aligned;
  if (wanted.size() == 1 && is_number(wanted[0], product(row))) return ir::Dims{product(row)};
  return std::nullopt;
}

// The axis of the data that comes first, second, ... after a change of layout.
std::vector<std::size_t> permutation(Layout layout, std::size_t rank) {
  std::vector<std::size_t> axes(rank);
  std::iota(axes.begin(), axes.end(), std::size_t{0});
  if (layout == Layout::nhwc_to_nchw) std::rotate(axes.begin(), axes.end() - 1, axes.end());
  if (layout == Layout::nchw_to_nhwc) std::rotate(axes.begin(), axes.begin() + 1, axes.end());
  return axes;
}

ir::Dims permuted(const ir::Dims& dims, Layout layout) {
  ir::Dims result;
  for (const std::size_t axis : permutation(layout, dims.size())) result.push_back(dims[axis]);
  return result;
}

// Rows with channels last to channels first, or back: each row is a transposed matrix.
Tensor change_layout(const Tensor& tensor, Layout layout) {
  if (layout == Layout::keep || tensor.rank() < 2) return tensor;
  const ir::Dims row(tensor.dims().begin() + 1, tensor.dims().end());
  ir::Dims dims = permuted(row, layout);
  const auto channels = static_cast<std::size_t>(layout == Layout::nhwc_to_nchw ? row.back() : row.front());
  const auto count = static_cast<std::size_t>(product(row));
  const std::size_t positions = channels == 0 ? 0 : count / channels;
  const std::size_t height = layout == Layout::nhwc_to_nchw ? positions : channels;
  const std::size_t width = layout == Layout::nhwc_to_nchw ? channels : positions;
  const auto rows = static_cast<std::size_t>(tensor.dims()[0]);
  dims.insert(dims.begin(), tensor.dims()[0]);
  Tensor result = Tensor::allocate(tensor.type(), dims);
  const auto transpose = [&](auto example) {
    using T = decltype(example);
    const auto* in = reinterpret_cast<const T*>(tensor.bytes().data());
    auto* out = reinterpret_cast<T*>(result.mutable_bytes().data());
    for (std::size_t r = 0; r < rows; ++r, in += count, out += count) {
      for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < width; ++x) out[x * height + y] = in[y * width + x];
      }
    }
  };
  switch (ir::bit_width(tensor.type())) {
    case 8:
      transpose(std::uint8_t{});
      break;
    case 16:
      transpose(std::uint16_t{});
      break;
    case 32:
      transpose(std::uint32_t{});
      break;
    case 64:
      transpose(std::uint64_t{});
      break;
    default:
      unsupported("a change of layout of {}", ir::name(tensor.type()));
  }
  return result;
}

std::size_t find_channel_axis(const Preprocess& preprocess, const ir::Dims& row, const std::string& input) {
  const std::size_t channels = std::max(preprocess.mean.size(), preprocess.std.size());
  if (channels <= 1 || row.empty()) return 0;
  const auto count = static_cast<std::int64_t>(channels);
  const std::size_t last = row.size() - 1;
  std::vector<std::size_t> axes;
  if (preprocess.layout != Layout::nhwc_to_nchw && row[0] == count) axes.push_back(0);
  if (preprocess.layout != Layout::nchw_to_nhwc && row[last] == count && (last != 0 || axes.empty()))
    axes.push_back(last);
  if (axes.empty()) {
    usage_error("input {}: {} means or std, but rows of {} have no such number of channels", quote(input), channels,
                ir::text(row));
  }
  if (axes.size() > 1) {
    usage_error("input {}: rows of {} could have their channels first or last; say layout=", quote(input),
                ir::text(row));
  }
  return axes[0];
}

std::string describe(const Array& array) {
  return fmt::format("{} is {}{}", array.origin, ir::name(array.values.type()), ir::text(array.values.dims()));
}

}  // namespace

std::vector<ModelInput> model_inputs(const ir::Graph& graph) {
  std::vector<ModelInput> inputs;
  for (const ir::Value* value : graph.inputs()) {
    if (!value->initializer() && !value->sparse_initializer()) inputs.push_back({value->name(), value->type()});
  }
  return inputs;
}

Feed::Feed(Dataset data, std::vector<ModelInput> inputs, FeedOptions options)
    : data_(std::move(data)), inputs_(std::move(inputs)), round_(options.round) {
  const auto known = [&](const std::string& name) {
    return std::any_of(inputs_.begin(), inputs_.end(), [&](const auto& input) { return input.name == name; });
  };
  for (const auto& [input, array] : options.arrays) {
    if (!known(input)) usage_error("the model has no input {}", quote(input));
  }
  for (const auto& [input, preprocess] : options.preprocess) {
    if (!input.empty() && !known(input)) usage_error("normalize: the model has no input {}", quote(input));
  }
  for (const ModelInput& input : inputs_) {
    in_context([&] { return fmt::format("data {} for input {}", quote(data_.source()), quote(input.name)); },
               [&] {
                 if (!input.type.is_tensor()) unsupported("the model wants {}, not a tensor", ir::text(input.type));
                 sources_.push_back(match(input, options));
                 const auto& shape = input.type.shape;
                 const auto batch = shape ? (*shape)[0].number() : std::nullopt;
                 if (batch && fixed_batch_ && *batch != *fixed_batch_) {
                   unsupported("a batch of {}, where another input wants {}", *batch, *fixed_batch_);
                 }
                 if (batch) fixed_batch_ = batch;
               });
  }
  if (fixed_batch_ && *fixed_batch_ <= 0) bad_input("the model wants batches of {} rows", *fixed_batch_);
}

Feed::Source Feed::match(const ModelInput& input, const FeedOptions& options) const {
  Source source;
  const auto& arrays = data_.arrays();
  const auto given = options.arrays.find(input.name);
  const Array* found = data_.find(given == options.arrays.end() ? input.name : given->second);
  if (given != options.arrays.end() && !found) usage_error("the data have no array {}", quote(given->second));
  const auto is_column = [](const Array& array) { return array.values.rank() == 1; };
  if (found) {
    source.arrays = {found};
  } else if (inputs_.size() == 1 && arrays.size() == 1) {
    source.arrays = {&arrays[0]};
  } else if (inputs_.size() == 1 && data_.is_table() && std::all_of(arrays.begin(), arrays.end(), is_column)) {
    for (const Array& array : arrays) source.arrays.push_back(&array);
  }
  if (source.arrays.empty()) {
    std::vector<std::string> names;
    for (const Array& array : arrays) names.push_back(describe(array));
    bad_input("no array of this name; {}", names.empty() ? "there is none beside the label" : join(names, ", "));
  }

  ir::Dims row(source.arrays[0]->values.dims().begin() + 1, source.arrays[0]->values.dims().end());
  if (source.arrays.size() > 1) row = {static_cast<std::int64_t>(source.arrays.size())};
  const bool wants_text = input.type.element == ElementType::string;
  source.type = input.type.element;
  for (const Array* array : source.arrays) {
    if (source.type != ElementType::undefined && array->values.is_string() != wants_text) {
      bad_input("{} is {}, the model wants {}", array->origin, array->values.is_string() ? "text" : "numbers",
                ir::text(input.type));
    }
  }
  if (source.type == ElementType::undefined) source.type = source.arrays[0]->values.type();

  auto preprocess = options.preprocess.find(input.name);
  if (preprocess == options.preprocess.end()) preprocess = options.preprocess.find("");
  if (preprocess != options.preprocess.end() && (ir::is_float(source.type) || !preprocess->first.empty())) {
    source.preprocess = preprocess->second;
    if (source.preprocess.changes_values() && !ir::is_float(source.type)) {
      usage_error("normalize makes fractions, and the model wants {}", ir::text(input.type));
    }
  }
  source.channel_axis = find_channel_axis(source.preprocess, row, input.name);
  const auto& shape = input.type.shape;
  if (shape && shape->empty()) unsupported("the model wants one number, not rows");
  const auto fitted = fit(permuted(row, source.preprocess.layout), shape);
  if (!fitted) {
    std::string hint;
    if (source.preprocess.layout == Layout::keep && row.size() >= 2) {
      if (fit(permuted(row, Layout::nhwc_to_nchw), shape)) hint = " (channels last? --normalize layout=nhwc-nchw)";
      if (fit(permuted(row, Layout::nchw_to_nhwc), shape)) hint = " (channels first? --normalize layout=nchw-nhwc)";
    }
    bad_input("the model wants {}; {}{}", ir::text(input.type),
              source.arrays.size() == 1 ? describe(*source.arrays[0]) : fmt::format("there are {} columns", row[0]),
              hint);
  }
  source.row = *fitted;
  return source;
}

std::vector<ir::NamedDatum> Feed::read(std::span<const std::int64_t> rows) const {
  std::vector<ir::NamedDatum> result;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    in_context([&] { return fmt::format("data {} for input {}", quote(data_.source()), quote(inputs_[i].name)); },
               [&] {
                 result.push_back({inputs_[i].name, read(sources_[i], rows)});
               });
  }
  return result;
}

Tensor Feed::read(const Source& source, std::span<const std::int64_t> rows) const {
  const Preprocess& preprocess = source.preprocess;
  const bool loose = round_ || source.arrays[0]->from_text;
  Tensor tensor;
  if (source.arrays.size() == 1) {
    tensor = data_.take(*source.arrays[0], rows);
    // Integers from text are as good as floats.
    if (loose && ir::is_float(source.type) && ir::is_integer(tensor.type())) {
      tensor = Tensor::of<double>(tensor.dims(), tensor.to_doubles());
    }
  } else {
    const std::size_t width = source.arrays.size();
    tensor = Tensor::allocate(ElementType::float64,
                              {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(width)});
    const auto out = tensor.mutable_data<double>();
    for (std::size_t column = 0; column < width; ++column) {
      const std::vector<double> values = data_.take(*source.arrays[column], rows).to_doubles();
      for (std::size_t row = 0; row < values.size(); ++row) out[row * width + column] = values[row];
    }
  }

  if (preprocess.changes_values()) {
    const std::size_t channels = std::max({preprocess.mean.size(), preprocess.std.size(), std::size_t{1}});
    std::vector<double> factor(channels), offset(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      const auto of_channel = [&](const std::vector<double>& values, double otherwise) {
        return values.empty() ? otherwise : values.size() == 1 ? values[0] : values[c];
      };
      const double std = of_channel(preprocess.std, 1);
      factor[c] = preprocess.scale / std;
      offset[c] = -of_channel(preprocess.mean, 0) / std;
    }
    std::size_t inner = 1;
    for (std::size_t d = source.channel_axis + 2; d < tensor.rank(); ++d)
      inner *= static_cast<std::size_t>(tensor.dims()[d]);
    tensor = scale(tensor, source.type, factor, offset, std::max<std::size_t>(inner, 1));
  } else if (tensor.type() != source.type) {
    std::optional<std::size_t> changed;
    Tensor converted = convert(tensor, source.type, loose ? Rounding::floats : Rounding::none, changed);
    if (changed) {
      const std::size_t per_row = rows.empty() ? 1 : static_cast<std::size_t>(tensor.element_count()) / rows.size();
      const std::string& origin = source.arrays[source.arrays.size() > 1 ? *changed % per_row : 0]->origin;
      bad_input("{}, row {}: {} has no equal in {}, which the model wants (the data are {}{})", origin,
                data_.source_row(rows[*changed / per_row]) + 1, element_text(tensor, *changed), ir::name(source.type),
                ir::name(tensor.type()), ir::is_float(tensor.type()) ? "; allow rounding with --round" : "");
    }
    tensor = std::move(converted);
  }
  tensor = change_layout(tensor, preprocess.layout);
  ir::Dims dims = source.row;
  dims.insert(dims.begin(), static_cast<std::int64_t>(rows.size()));
  return tensor.reshaped(std::move(dims));
}

std::vector<Batch> batches(std::span<const std::int64_t> order, std::int64_t size, bool fill) {
  if (size <= 0) usage_error("a batch of {} rows", size);
  std::vector<Batch> result;
  const auto most = static_cast<std::size_t>(size);
  for (std::size_t at = 0; at < order.size(); at += most) {
    const auto part = order.subspan(at, std::min(most, order.size() - at));
    Batch batch{{part.begin(), part.end()}, part.size()};
    if (fill) batch.rows.resize(most, part.back());
    result.push_back(std::move(batch));
  }
  return result;
}

std::vector<Batch> batches(std::int64_t rows, std::int64_t size, bool fill) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return batches(order, size, fill);
}

}  // namespace hone::data
