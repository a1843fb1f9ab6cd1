// ai.onnx.ml on features: ArrayFeatureExtractor Binarizer Scaler Normalizer Imputer FeatureVectorizer OneHotEncoder
// LabelEncoder CategoryMapper DictVectorizer CastMap ZipMap.
#include <map>
#include <unordered_map>

#include "exec/arrays.h"
#include "exec/reference/classes.h"
#include "exec/reference/indices.h"
#include "exec/reference/list.h"
#include "hone/ir/dimension.h"

namespace hone::exec {
namespace {

using ir::ElementType;

void array_feature_extractor(Context& context) {
  const Array &in = context.input(0), &indices = context.input(1);
  require_rank(in, 1, std::numeric_limits<std::size_t>::max(), "the input");
  const std::int64_t width = in.dims.back(), count = indices.count();
  if (count == 0) bad_input("no indices");
  const std::int64_t* picked = checked_indices(context, indices, width);
  ir::Dims dims(in.dims.begin(), in.dims.end() - 1);
  if (in.rank() == 1) dims.push_back(1);  // as ONNX Runtime has it
  dims.push_back(count);
  Array& out = context.output(0, in.type, dims);
  const std::int64_t rows = width == 0 ? 0 : in.count() / width;
  dispatch_moved(context, in.type, [&]<typename T>() {
    const T* from = moved<T>(in);
    T* to = moved<T>(out);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t i = 0; i < count; ++i) to[r * count + i] = from[r * width + picked[i]];
    }
  });
}

void binarizer(Context& context) {
  const float threshold = context.node().float_or("threshold", 0);
  map_number(context, cheap_grain,
             [=]<typename T>(T x) { return static_cast<double>(x) > static_cast<double>(threshold) ? T{1} : T{0}; });
}

// One number for all features, or one for each.
std::vector<float> by_feature(const ir::Node& node, std::string_view name, std::int64_t width) {
  std::vector<float> values = node.floats_or(name, {});
  if (values.size() != 1 && static_cast<std::int64_t>(values.size()) != width) {
    bad_input("{} has {} numbers for {} features", name, values.size(), width);
  }
  if (values.size() == 1) values.assign(static_cast<std::size_t>(std::max<std::int64_t>(width, 1)), values[0]);
  return values;
}

void scaler(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 1, std::numeric_limits<std::size_t>::max(), "the input");
  const std::int64_t width = in.dims.back();
  const std::vector<float> offset = by_feature(context.node(), "offset", width),
                           scale = by_feature(context.node(), "scale", width);
  const float* from = view<float>(context, in);
  Array& out = context.output(0, ElementType::float32, in.dims);
  for (std::int64_t i = 0; i < in.count(); ++i) {
    const auto f = static_cast<std::size_t>(i % width);
    out.as<float>()[i] = (from[i] - offset[f]) * scale[f];
  }
}

void normalizer(Context& context) {
  const Array& in = context.input(0);
  const Features features(in);
  const std::string norm = context.node().string_or("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2") bad_input("norm is {}", quote(norm));
  const float* from = view<float>(context, in);
  Array& out = context.output(0, ElementType::float32, in.dims);
  for (std::int64_t r = 0; r < features.rows; ++r) {
    const float* x = from + r * features.width;
    double divisor = norm == "MAX" && features.width > 0 ? static_cast<double>(x[0]) : 0;
    for (std::int64_t i = 0; i < features.width; ++i) {
      const double v = static_cast<double>(x[i]);
      divisor = norm == "MAX" ? std::max(divisor, v) : divisor + (norm == "L1" ? std::abs(v) : v * v);
    }
    if (norm == "L2") divisor = std::sqrt(divisor);
    for (std::int64_t i = 0; i < features.width; ++i) {
      out.as<float>()[r * features.width + i] =
          divisor == 0 ? x[i] : static_cast<float>(static_cast<double>(x[i]) / divisor);
    }
  }
}

template <typename T>
void impute(Context& context, const std::vector<T>& values, T replaced) {
  const Array& in = context.input(0);
  require_rank(in, 1, std::numeric_limits<std::size_t>::max(), "the input");
  const std::int64_t width = in.dims.back();
  if (values.empty() || (values.size() != 1 && static_cast<std::int64_t>(values.size()) != width)) {
    bad_input("{} imputed values for {} features", values.size(), width);
  }
  Array& out = context.output(0, in.type, in.dims);
  in_number(context, in.type, [&]<typename E>() {
    if (ir::element_type_of<E> != in.type) unsupported_type(context, in.type);
    for (std::int64_t i = 0; i < in.count(); ++i) {
      const E x = in.as<E>()[i];
      bool hit = x == static_cast<E>(replaced);
      if constexpr (std::is_floating_point_v<T> && std::is_floating_point_v<E>)
        hit = hit || (replaced != replaced && x != x);
      out.as<E>()[i] = hit ? static_cast<E>(values[values.size() == 1 ? 0 : static_cast<std::size_t>(i % width)]) : x;
    }
  });
}
void imputer(Context& context) {
  const ir::Node& node = context.node();
  if (ir::is_float(context.input(0).type)) {
    return impute<float>(context, node.floats_or("imputed_value_floats", {}), node.float_or("replaced_value_float", 0));
  }
  impute<std::int64_t>(context, node.ints_or("imputed_value_int64s", {}), node.int_or("replaced_value_int64", 0));
}

// Inputs side by side, each cut or filled up with zeros to its width.
void feature_vectorizer(Context& context) {
  const ir::Dims widths = required_ints(context.node(), "inputdimensions");
  const std::size_t n = context.input_count();
  if (widths.size() != n) bad_input("{} inputdimensions for {} inputs", widths.size(), n);
  std::int64_t rows = -1, total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const Array& in = context.input(i);
    if (in.rank() < 1 || in.rank() > 2) bad_input("an input of shape {}", ir::text(in.dims));
    if (rows >= 0 && in.dims[0] != rows) bad_input("inputs of {} and {} rows", rows, in.dims[0]);
    if (widths[i] < 0) bad_input("inputdimensions hold {}", widths[i]);
    rows = in.dims[0];
    total = size_sum(total, widths[i]);
  }
  Array& out = context.output(0, ElementType::float32, {std::max<std::int64_t>(rows, 0), total});
  std::fill_n(out.as<float>(), out.count(), 0.0f);
  std::int64_t at = 0;
  for (std::size_t i = 0; i < n; at += widths[i++]) {
    const Array& in = context.input(i);
    const std::int64_t width = in.rank() == 2 ? in.dims[1] : 1;
    const float* from = view<float>(context, in);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(from + r * width, std::min(width, widths[i]), out.as<float>() + r * total + at);
    }
  }
}

void one_hot_encoder(Context& context) {
  const Array& in = context.input(0);
  const ir::Node& node = context.node();
  const ir::Dims numbers = node.ints_or("cats_int64s", {});
  const std::vector<std::string> texts = string_list(node, "cats_strings");
  const bool by_text = in.type == ElementType::string;
  const auto count = static_cast<std::int64_t>(by_text ? texts.size() : numbers.size());
  if (count == 0) bad_input("no categories");
  std::unordered_map<std::int64_t, std::int64_t> number_at;
  std::unordered_map<std::string, std::int64_t> text_at;
  for (std::size_t i = 0; i < numbers.size(); ++i) number_at[numbers[i]] = static_cast<std::int64_t>(i);
  for (std::size_t i = 0; i < texts.size(); ++i) text_at[texts[i]] = static_cast<std::int64_t>(i);
  const bool zeros = flag(node, "zeros", true);
  const double* values = by_text ? nullptr : view<double>(context, in);
  ir::Dims dims = in.dims;
  dims.push_back(count);
  Array& out = context.output(0, ElementType::float32, dims);
  std::fill_n(out.as<float>(), out.count(), 0.0f);
  for (std::int64_t i = 0; i < in.count(); ++i) {
    std::int64_t at = -1;
    if (by_text) {
      const auto found = text_at.find((*in.strings)[static_cast<std::size_t>(i)]);
      if (found != text_at.end()) at = found->second;
    } else if (values[i] > -9e18 && values[i] < 9e18) {
      const auto found = number_at.find(in.type == ElementType::int64 ? in.as<std::int64_t>()[i]
                                                                      : static_cast<std::int64_t>(values[i]));
      if (found != number_at.end()) at = found->second;
    }
    if (at >= 0) {
      out.as<float>()[i * count + at] = 1;
    } else if (!zeros) {
      bad_input("element {} is in no category", i);
    }
  }
}

// A list of keys or values of any type LabelEncoder takes: strings, or numbers as int64 and double side by side.
struct Column {
  ElementType type = ElementType::undefined;
  std::vector<std::string> texts;
  std::vector<std::int64_t> integers;
  std::vector<double> reals;
  std::size_t size() const {
    return type == ElementType::string ? texts.size() : ir::is_float(type) ? reals.size() : integers.size();
  }
};

Column column_of(const ir::Tensor& tensor) {
  Column column;
  column.type = tensor.type();
  if (tensor.is_string()) {
    column.texts = *tensor.string_values();
  } else if (ir::is_float(tensor.type())) {
    column.reals = tensor.to_doubles();
  } else {
    column.integers = tensor.to_ints();
  }
  return column;
}
Column column_of(const ir::Node& node, const std::string& prefix) {
  if (const ir::Tensor* tensor = node.tensor(prefix + "_tensor")) return column_of(*tensor);
  Column column;
  if (node.has_attribute(prefix + "_strings")) {
    column.type = ElementType::string;
    column.texts = string_list(node, prefix + "_strings");
  } else if (node.has_attribute(prefix + "_int64s")) {
    column.type = ElementType::int64;
    column.integers = node.ints_or(prefix + "_int64s", {});
  } else if (node.has_attribute(prefix + "_floats")) {
    column.type = ElementType::float32;
    const std::vector<float> floats = node.floats_or(prefix + "_floats", {});
    column.reals.assign(floats.begin(), floats.end());
  } else {
    bad_input("no {}_strings, {}_int64s, {}_floats or {}_tensor", prefix, prefix, prefix, prefix);
  }
  return column;
}

// Which key an element is, if any. Keys that repeat: the last one counts. NaN is NaN.
std::vector<std::int64_t> look_up(Context& context, const Array& in, const Column& keys) {
  std::vector<std::int64_t> places(static_cast<std::size_t>(in.count()), -1);
  const auto find = [&](const auto& index, const auto& key_of) {
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto found = index.find(key_of(i));
      if (found != index.end()) places[i] = found->second;
    }
  };
  if (in.type != keys.type) bad_input("keys of {} for an input of {}", ir::name(keys.type), ir::name(in.type));
  if (in.type == ElementType::string) {
    std::unordered_map<std::string, std::int64_t> index;
    for (std::size_t i = 0; i < keys.texts.size(); ++i) index[keys.texts[i]] = static_cast<std::int64_t>(i);
    find(index, [&](std::size_t i) -> const std::string& { return (*in.strings)[i]; });
  } else if (ir::is_float(in.type)) {
    std::map<std::pair<bool, double>, std::int64_t> index;
    const auto key = [](double x) { return std::pair(x != x, x == x ? x : 0.0); };
    for (std::size_t i = 0; i < keys.reals.size(); ++i) index[key(keys.reals[i])] = static_cast<std::int64_t>(i);
    const double* values = view<double>(context, in);
    find(index, [&](std::size_t i) { return key(values[i]); });
  } else {
    std::unordered_map<std::int64_t, std::int64_t> index;
    for (std::size_t i = 0; i < keys.integers.size(); ++i) index[keys.integers[i]] = static_cast<std::int64_t>(i);
    Array flat = in;
    flat.dims = {in.count()};
    const ir::Dims values = read_ints(flat);
    find(index, [&](std::size_t i) { return values[i]; });
  }
  return places;
}

void map_places(Context& context, const Array& in, const std::vector<std::int64_t>& places, const Column& values,
                const Column& fallback) {
  Array& out = context.output(0, values.type, in.dims);
  if (values.type == ElementType::string) {
    for (std::size_t i = 0; i < places.size(); ++i) {
      (*out.strings)[i] = places[i] >= 0 ? values.texts[static_cast<std::size_t>(places[i])] : fallback.texts.at(0);
    }
    return;
  }
  in_number(context, values.type, [&]<typename T>() {
    if (ir::element_type_of<T> != values.type) unsupported_type(context, values.type);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto at = static_cast<std::size_t>(places[i]);
      if constexpr (std::is_floating_point_v<T>) {
        out.as<T>()[i] = static_cast<T>(places[i] >= 0 ? values.reals[at] : fallback.reals.at(0));
      } else {
        out.as<T>()[i] = static_cast<T>(places[i] >= 0 ? values.integers[at] : fallback.integers.at(0));
      }
    }
  });
}

void label_encoder(Context& context) {
  const ir::Node& node = context.node();
  const Array& in = context.input(0);
  const Column keys = column_of(node, "keys"), values = column_of(node, "values");
  if (keys.size() != values.size()) bad_input("{} keys and {} values", keys.size(), values.size());
  Column fallback;
  if (const ir::Tensor* tensor = node.tensor("default_tensor")) {
    fallback = column_of(*tensor);
    if (fallback.type != values.type || fallback.size() != 1)
      bad_input("default_tensor is no single {}", ir::name(values.type));
  } else {
    fallback.texts = {node.string_or("default_string", "_Unused")};
    fallback.integers = {node.int_or("default_int64", -1)};
    fallback.reals = {static_cast<double>(node.float_or("default_float", -0.0f))};
  }
  map_places(context, in, look_up(context, in, keys), values, fallback);
}

// Integers and strings, either way.
void map_categories(Context& context, const ir::Dims& numbers, const std::vector<std::string>& texts) {
  const ir::Node& node = context.node();
  const Array& in = context.input(0);
  if (numbers.size() != texts.size()) bad_input("{} integers and {} strings", numbers.size(), texts.size());
  Column integers, strings, fallback;
  integers.type = ElementType::int64;
  integers.integers = numbers;
  strings.type = ElementType::string;
  strings.texts = texts;
  fallback.texts = {node.string_or("default_string", "_Unused")};
  fallback.integers = {node.int_or("default_int64", -1)};
  if (in.type == ElementType::string) {
    map_places(context, in, look_up(context, in, strings), integers, fallback);
  } else {
    map_places(context, in, look_up(context, in, integers), strings, fallback);
  }
}
void category_mapper(Context& context) {
  map_categories(context, context.node().ints_or("cats_int64s", {}), string_list(context.node(), "cats_strings"));
}
void label_encoder_1(Context& context) {
  const std::vector<std::string> texts = string_list(context.node(), "classes_strings");
  ir::Dims numbers;
  for (std::size_t i = 0; i < texts.size(); ++i) numbers.push_back(static_cast<std::int64_t>(i));
  map_categories(context, numbers, texts);
}

// The tensors of a map's values joined into one of one dimension, each of one element.
const ir::Map& map_input(Context& context) {
  const ir::Map* map = context.datum(0).map();
  if (!map) bad_input("the input is no map");
  for (const ir::Datum& value : map->values) {
    if (!value.tensor() || value.tensor()->element_count() != 1) bad_input("a value of the map is no single element");
  }
  if (map->keys.element_count() != static_cast<std::int64_t>(map->values.size()))
    bad_input("the map has not as many keys as values");
  return *map;
}
template <typename T>
T element_of(const ir::Datum& value) {
  const Array array = to_array(*value.tensor());
  if constexpr (std::is_same_v<T, std::string>) {
    return array.strings->at(0);
  } else {
    return *array.as<T>();
  }
}

void dict_vectorizer(Context& context) {
  const ir::Map& map = map_input(context);
  const std::vector<std::string> texts = string_list(context.node(), "string_vocabulary");
  const ir::Dims numbers = context.node().ints_or("int64_vocabulary", {});
  const bool by_text = map.keys.is_string();
  const auto width = static_cast<std::int64_t>(by_text ? texts.size() : numbers.size());
  if (width == 0) bad_input("no vocabulary");
  std::map<std::string, std::size_t> text_at;
  std::map<std::int64_t, std::size_t> number_at;
  const ir::Dims keys = by_text ? ir::Dims() : map.keys.to_ints();
  for (std::size_t i = 0; i < map.values.size(); ++i) {
    if (by_text) {
      text_at[(*map.keys.string_values())[i]] = i;
    } else {
      number_at[keys[i]] = i;
    }
  }
  const ElementType type = map.values.empty() ? ElementType::float32 : map.values[0].tensor()->type();
  for (const ir::Datum& value : map.values) {
    if (value.tensor()->type() != type) bad_input("the map's values have several types");
  }
  Array& out = context.output(0, type, {1, width});
  const auto fill = [&]<typename T>() {
    T* to = moved<T>(out);
    for (std::size_t i = 0; i < static_cast<std::size_t>(width); ++i) {
      to[i] = T{};
      if (by_text) {
        if (const auto found = text_at.find(texts[i]); found != text_at.end())
          to[i] = element_of<T>(map.values[found->second]);
      } else {
        if (const auto found = number_at.find(numbers[i]); found != number_at.end())
          to[i] = element_of<T>(map.values[found->second]);
      }
    }
  };
  dispatch_moved(context, type, fill);
}

void cast_map(Context& context) {
  const ir::Map& map = map_input(context);
  const ir::Node& node = context.node();
  if (map.keys.is_string()) bad_input("the map has strings as keys");
  const std::string to = node.string_or("cast_to", "TO_FLOAT"), form = node.string_or("map_form", "DENSE");
  if (to != "TO_FLOAT" && to != "TO_STRING" && to != "TO_INT64") bad_input("cast_to is {}", quote(to));
  if (form != "DENSE" && form != "SPARSE") bad_input("map_form is {}", quote(form));
  std::map<std::int64_t, std::size_t> order;
  const ir::Dims keys = map.keys.to_ints();
  for (std::size_t i = 0; i < keys.size(); ++i) order[keys[i]] = i;
  const std::int64_t width = form == "DENSE" ? static_cast<std::int64_t>(order.size()) : node.int_or("max_map", 1);
  if (width < 0) bad_input("max_map is {}", width);
  const ElementType type = to == "TO_FLOAT"   ? ElementType::float32
                           : to == "TO_INT64" ? ElementType::int64
                                              : ElementType::string;
  Array& out = context.output(0, type, {1, width});
  if (type != ElementType::string && out.count() > 0) std::fill_n(out.data, out.byte_size(), std::byte{0});
  std::int64_t next = 0;
  for (const auto& [key, at] : order) {
    const std::int64_t place = form == "DENSE" ? next++ : key;
    if (place < 0 || place >= width) bad_input("key {} in a tensor of {}", place, width);
    const ir::Datum& value = map.values[at];
    const bool text = value.tensor()->is_string();
    const std::string string = text ? element_of<std::string>(value) : std::string();
    double number = 0;
    try {
      number = text ? (to == "TO_STRING" ? 0 : std::stod(string)) : value.tensor()->to_doubles()[0];
    } catch (const std::exception&) {
      bad_input("{} is no number", quote(string));
    }
    if (type == ElementType::float32) {
      out.as<float>()[place] = static_cast<float>(number);
    } else if (type == ElementType::int64) {
      out.as<std::int64_t>()[place] = number > -9e18 && number < 9e18 ? static_cast<std::int64_t>(number) : 0;
    } else {
      (*out.strings)[static_cast<std::size_t>(place)] = text ? string : fmt::format("{}", static_cast<float>(number));
    }
  }
}

void zip_map(Context& context) {
  const Array& in = context.input(0);
  const Features features(in);
  require_type(in, ElementType::float32, "the input");
  const ir::Dims numbers = context.node().ints_or("classlabels_int64s", {});
  const std::vector<std::string> texts = string_list(context.node(), "classlabels_strings");
  const bool by_text = !texts.empty();
  if (static_cast<std::int64_t>(by_text ? texts.size() : numbers.size()) != features.width) {
    bad_input("{} labels for {} columns", by_text ? texts.size() : numbers.size(), features.width);
  }
  ir::Sequence sequence;
  sequence.element.kind = ir::Type::Kind::map;
  sequence.element.element = by_text ? ElementType::string : ElementType::int64;
  sequence.element.inner = std::make_shared<const ir::Type>(ir::Type::tensor(ElementType::float32));
  for (std::int64_t r = 0; r < features.rows; ++r) {
    ir::Map map;
    map.keys = by_text ? ir::Tensor::strings({features.width}, texts) : ir::Tensor::vector(numbers);
    for (std::int64_t i = 0; i < features.width; ++i)
      map.values.emplace_back(ir::Tensor::scalar(in.as<float>()[r * features.width + i]));
    sequence.items.emplace_back(std::move(map));
  }
  context.set_output(0, std::move(sequence));
}

constexpr std::int64_t latest = std::numeric_limits<std::int64_t>::max();
}  // namespace

std::span<const KernelEntry> feature_kernels() {
  static constexpr KernelEntry entries[] = {
      {"ArrayFeatureExtractor", 1, stateless<array_feature_extractor>, latest, "ai.onnx.ml"},
      {"Binarizer", 1, stateless<binarizer>, latest, "ai.onnx.ml"},
      {"Scaler", 1, stateless<scaler>, latest, "ai.onnx.ml"},
      {"Normalizer", 1, stateless<normalizer>, latest, "ai.onnx.ml"},
      {"Imputer", 1, stateless<imputer>, latest, "ai.onnx.ml"},
      {"FeatureVectorizer", 1, stateless<feature_vectorizer>, latest, "ai.onnx.ml"},
      {"OneHotEncoder", 1, stateless<one_hot_encoder>, latest, "ai.onnx.ml"},
      {"LabelEncoder", 1, stateless<label_encoder_1>, 1, "ai.onnx.ml"},
      {"LabelEncoder", 2, stateless<label_encoder>, latest, "ai.onnx.ml"},
      {"CategoryMapper", 1, stateless<category_mapper>, latest, "ai.onnx.ml"},
      {"DictVectorizer", 1, stateless<dict_vectorizer>, latest, "ai.onnx.ml"},
      {"CastMap", 1, stateless<cast_map>, latest, "ai.onnx.ml"},
      {"ZipMap", 1, stateless<zip_map>, latest, "ai.onnx.ml"},
  };
  return entries;
}

}  // namespace hone::exec
