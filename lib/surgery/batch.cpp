#include "hone/surgery/batch.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "hone/exec/random_inputs.h"
#include "hone/exec/session.h"
#include "hone/passes/passes.h"
#include "hone/rewrite/pass.h"
#include "hone/rewrite/verify.h"
#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "surgery/tensors.h"

namespace hone::surgery {
namespace {

using ir::Dimension;
using ir::Shape;

// The batch while shapes are followed; no exporter makes such a name.
constexpr std::string_view kBatch = "hone batch";

bool has_batch(const Dimension& dim) {
  const std::vector<std::string> symbols = dim.symbols();
  return std::find(symbols.begin(), symbols.end(), kBatch) != symbols.end();
}
bool has_batch(const Shape& shape) {
  return std::any_of(shape.begin(), shape.end(), [](const Dimension& dim) { return has_batch(dim); });
}
bool has_batch(const ir::Value* value) {
  return value && value->type().is_tensor() && value->shape() && has_batch(*value->shape());
}

bool is_known(const Shape& shape) {
  return std::none_of(shape.begin(), shape.end(), [](const Dimension& dim) { return dim.is_unknown(); });
}

Dimension at_batch(const Dimension& dim, std::int64_t size) {
  return dim.substitute(
      [&](std::string_view name) { return name == kBatch ? std::optional<Dimension>(size) : std::nullopt; });
}

// Where a shape has the batch: one dimension of `per_sample` times the batch.
struct Place {
  std::size_t axis = 0;
  Dimension per_sample;
};

std::optional<Place> find_batch(const Shape& shape) {
  std::optional<Place> result;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!has_batch(shape[i])) continue;
    const auto factor = exact_div(shape[i], Dimension::symbol(kBatch));
    if (result || !factor || has_batch(*factor)) return std::nullopt;
    result = Place{i, *factor};
  }
  return result;
}

std::string text(const std::vector<std::int64_t>& values) { return ir::text(values); }

// One try: shapes are followed and constants repaired, with the choices given where there are several.
class Attempt {
 public:
  Attempt(const ir::Model& original, const ir::Model& inferred, std::int64_t size,
          const std::vector<std::size_t>& choices)
      : model(original.clone()), inferred_(inferred), size_(size), choices_(choices) {
    for (const ir::Value* input : inferred.graph->inputs()) {
      if (input->initializer()) continue;
      Shape shape = *input->shape();
      shape[0] = Dimension::symbol(kBatch);
      shapes::set_input_shape(model, input->name(), shape);
    }
  }

  void run() {
    // A repair changes the shapes behind it, so they are followed again after each round. Each round repairs at least one
    // node for good.
    const std::uint64_t most = 2 * model.graph->node_count() + 16;
    for (std::uint64_t round = 0; round < most; ++round) {
      ir::Model followed = model.clone();
      shapes::Inference shapes(followed);
      shapes.run();
      taken_ = 0;
      options.clear();
      if (!walk(followed, shapes)) return;
    }
    fail(ErrorKind::internal, "the batch does not settle after {} rounds; please report this model", most);
  }

  ir::Model model;
  std::vector<BatchChange> changes;
  std::vector<std::size_t> options;  // how many places there were at each choice

 private:
  // True where something was repaired.
  bool walk(const ir::Model& followed, const shapes::Inference& shapes) {
    std::unordered_set<const ir::Value*> tainted;  // behind a repair of this round
    bool repaired = false;
    ir::Node* ours = model.graph->first();
    std::vector<std::pair<const ir::Node*, ir::Node*>> pairs;
    for (const ir::Node& node : followed.graph->nodes()) {
      pairs.emplace_back(&node, ours);
      ours = ours->next();
    }
    for (const auto& [node, own] : pairs) {
      bool behind = false;
      for_each_source(*followed.graph, *node, [&](ir::Value& source) { behind |= tainted.contains(&source); });
      if (!behind && check(*node, *own, shapes)) repaired = behind = true;
      if (!behind) continue;
      for (std::size_t i = 0; i < node->output_count(); ++i) tainted.insert(node->output(i));
    }
    return repaired;
  }

  [[noreturn]] void refuse(const ir::Node& node, const std::string& why) const {
    unsupported("the batch can't be changed: {}: {}", describe(node), why);
  }

  // What the value was in the original; null where that is not known.
  const Shape* before(const ir::Value* value) const {
    const ir::Value* original = value ? inferred_.graph->find(value->name()) : nullptr;
    return original && original->type().is_tensor() && original->shape() && is_known(*original->shape())
               ? &*original->shape()
               : nullptr;
  }

  bool check(const ir::Node& node, ir::Node& own, const shapes::Inference& shapes) {
    if (node.is("Shape") || node.is("Size")) return false;
    if (node.is("Reshape") && has_batch(node.input(0))) return reshape(node, own, shapes);
    if (node.is("Resize") && has_batch(node.input(0)) && node.input(3) && resize(node, own, shapes)) return true;
    if (node.is("Concat") && concat(node, own)) return true;
    if ((node.is("LSTM") || node.is("GRU") || node.is("RNN")) && recurrent(node, own)) return true;
    if (size_ > 1 && one_row(node, own)) return true;

    bool depends = false;
    for_each_source(node.graph(), node, [&](ir::Value& source) { depends |= has_batch(&source); });
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const ir::Value* output = node.output(i);
      const Shape* expected = before(output);
      if (!output || !output->has_uses() || !expected) continue;
      if (!output->shape() || !is_known(*output->shape())) {
        if (depends) refuse(node, "its shape can't be followed for a symbolic batch");
        continue;
      }
      const Shape& shape = *output->shape();
      bool same = shape.size() == expected->size();
      for (std::size_t d = 0; same && d < shape.size(); ++d)
        same = provably_equal(at_batch(shape[d], size_), (*expected)[d]);
      if (!same) {
        refuse(node, fmt::format("it gives {} where the original gives {}", ir::text(shape), ir::text(*expected)));
      }
      if (depends && !has_batch(shape))
        refuse(node, "it takes the batch away or mixes samples, " + ir::text(shape) + " is left");
      if (has_batch(shape) && !find_batch(shape)) refuse(node, "it mixes samples: its shape is " + ir::text(shape));
    }
    return false;
  }

  // ---- Reshape
  bool reshape(const ir::Node& node, ir::Node& own, const shapes::Inference& shapes) {
    const ir::Value* output = node.output(0);
    const Shape* expected = before(output);
    const Shape& input = *node.input(0)->shape();
    const auto from = find_batch(input);
    if (!expected || !from) refuse(node, "the place of the batch in its input is not known");
    std::optional<std::vector<std::int64_t>> target;
    if (node.input(1)) {
      target = shapes.known_ints(*node.input(1));
    } else if (node.has_attribute("shape")) {
      target = node.ints_or("shape", {});
    }
    const bool good = output->shape() && is_known(*output->shape());
    const std::vector<Shape> places = shapes_with_batch(input, *from, *expected);
    if (places.empty()) {
      refuse(node, fmt::format("no dimension of {} can hold the batch of {}", ir::text(*expected), ir::text(input)));
    }
    if (!target) {
      // Computed: it follows the batch by itself, or can't be helped.
      const bool follows = good && std::any_of(places.begin(), places.end(), [&](const Shape& place) {
                             return provably_same_shape(place, *output->shape());
                           });
      if (!follows) refuse(node, "its computed target does not follow the batch");
      return false;
    }
    std::size_t chosen = 0;
    if (places.size() > 1) {
      if (taken_ < choices_.size()) chosen = choices_[taken_];
      ++taken_;
      options.push_back(places.size());
    }
    const Shape& wanted = places[chosen];
    if (good && provably_same_shape(wanted, *output->shape())) return false;
    const std::size_t axis = find_batch(wanted)->axis;
    std::vector<Dimension> better;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      // Kept as it was spelled where it can be.
      const bool spelled = i != axis && ((*target)[i] > 0 || ((*target)[i] == 0 && i != from->axis));
      better.push_back(spelled                           ? Dimension((*target)[i])
                       : i != axis && wanted[i].number() ? wanted[i]
                       : i != axis                       ? Dimension(-1)
                                                         : wanted[i]);
    }
    const bool wildcard =
        std::any_of(better.begin(), better.end(), [](const Dimension& d) { return d.number() == -1; });
    const bool zero_copies = node.int_or("allowzero", 0) == 0;
    if (!wildcard) {
      better[axis] = -1;
    } else if (zero_copies && axis < input.size() && provably_equal(input[axis], wanted[axis])) {
      better[axis] = 0;
    }
    std::string after = ir::text(Shape(better));
    if (!own.input(1)) {
      std::vector<std::int64_t> values;
      for (const Dimension& dim : better) {
        if (!dim.number()) refuse(node, "its attribute can't hold a computed shape");
        values.push_back(*dim.number());
      }
      own.set_attribute("shape", values);
    } else {
      own.set_input(1, &vector(own, better, own.input(1)->name()));
    }
    note(node, text(*target), after);
    return true;
  }

  // The shapes that `expected` can become, likeliest first: the batch goes where as many elements lie before it.
  std::vector<Shape> shapes_with_batch(const Shape& input, const Place& from, const Shape& expected) const {
    Dimension outside = 1;
    for (std::size_t i = 0; i < from.axis; ++i) outside = outside * input[i];
    std::vector<std::pair<std::size_t, Shape>> whole, merged;
    Dimension prefix = 1;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto per_sample = exact_div(expected[i], size_);
      if (provably_equal(prefix, outside) && per_sample) {
        Shape shape = expected;
        shape[i] = *per_sample * Dimension::symbol(kBatch);
        if (provably_equal(element_count(shape), element_count(input))) {
          (per_sample->number() == 1 ? whole : merged).emplace_back(i, std::move(shape));
        }
      }
      prefix = prefix * expected[i];
    }
    // The batch as a dimension of its own goes before a merged one; the place it has in the input before others.
    std::stable_sort(whole.begin(), whole.end(),
                     [&](const auto& a, const auto& b) { return (a.first == from.axis) > (b.first == from.axis); });
    std::vector<Shape> result;
    for (auto& [axis, shape] : whole.empty() ? merged : whole) result.push_back(std::move(shape));
    return result;
  }

  // ---- sizes of Resize
  bool resize(const ir::Node& node, ir::Node& own, const shapes::Inference& shapes) {
    const auto sizes = shapes.known_ints(*node.input(3));
    const auto from = find_batch(*node.input(0)->shape());
    if (!sizes || !from || node.has_attribute("axes") || sizes->size() != node.input(0)->shape()->size()) return false;
    if (from->per_sample.number() != 1 || (*sizes)[from->axis] != size_) return false;
    Shape better(sizes->begin(), sizes->end());
    better[from->axis] = Dimension::symbol(kBatch);
    own.set_input(3, &vector(own, better, own.input(3)->name()));
    note(node, text(*sizes), ir::text(better));
    return true;
  }

  // ---- what stands beside the batch
  bool concat(const ir::Node& node, ir::Node& own) {
    std::optional<Place> place;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (!has_batch(node.input(i))) continue;
      place = find_batch(*node.input(i)->shape());
      if (!place) refuse(node, "the place of the batch in its input is not known");
    }
    if (!place) return false;
    const auto rank = static_cast<std::int64_t>(node.input(0)->shape() ? node.input(0)->shape()->size() : 0);
    std::int64_t axis = node.int_or("axis", 0);
    if (axis < 0) axis += rank;
    if (static_cast<std::size_t>(axis) == place->axis) refuse(node, "it joins values along the batch");
    bool repaired = false;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (!has_batch(node.input(i))) repaired |= repeat(node, own, i, place->axis);
    }
    return repaired;
  }

  bool recurrent(const ir::Node& node, ir::Node& own) {
    if (!has_batch(node.input(0))) return false;
    const std::size_t axis = node.int_or("layout", 0) == 1 ? 0 : 1;
    bool repaired = false;
    for (const auto& [input, at] : {std::pair<std::size_t, std::size_t>{4, 0}, {5, axis}, {6, axis}}) {
      if (node.input(input) && !has_batch(node.input(input)) && (input != 6 || node.is("LSTM"))) {
        repaired |= repeat(node, own, input, at);
      }
    }
    return repaired;
  }

  // Input `index` gets the batch on `axis`: the same for every sample.
  bool repeat(const ir::Node& node, ir::Node& own, std::size_t index, std::size_t axis) {
    const ir::Value* value = node.input(index);
    if (!value->shape() || axis >= value->shape()->size() || !((*value->shape())[axis].number() == size_)) {
      refuse(node, fmt::format("input {} has no dimension for the batch", quote(value->name())));
    }
    ir::Value* one = own.input(index);
    if (size_ > 1) one = &first_row(node, *one, axis);
    std::vector<Dimension> shape(value->shape()->size(), 1);
    shape[axis] = Dimension::symbol(kBatch);
    ir::Graph& graph = own.graph();
    ir::Node& expand = graph.insert("Expand", {one, &vector(own, shape, one->name() + "_shape")}, 0, &own);
    expand.set_name(own.name());
    own.set_input(index, expand.add_output(graph.fresh_name(one->name())));
    note(node, ir::text(*value->shape()), "one for each sample");
    return true;
  }

  // A constant of one row for a batch of several, where all rows are equal.
  ir::Value& first_row(const ir::Node& node, ir::Value& value, std::size_t axis) {
    const ir::Tensor* tensor = ir::constant(&value);
    if (!tensor) refuse(node, fmt::format("input {} has the batch in it and is no constant", quote(value.name())));
    const ir::Tensor loaded = tensor->loaded();
    if (loaded.is_string() || ir::bit_width(loaded.type()) % 8 != 0) refuse(node, "constants of this type are not cut");
    std::size_t outer = 1, inner = ir::bit_width(loaded.type()) / 8;
    for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(loaded.dims()[i]);
    for (std::size_t i = axis + 1; i < loaded.rank(); ++i) inner *= static_cast<std::size_t>(loaded.dims()[i]);
    ir::Dims dims = loaded.dims();
    const auto rows = static_cast<std::size_t>(dims[axis]);
    dims[axis] = 1;
    ir::Tensor row = ir::Tensor::allocate(loaded.type(), dims);
    for (std::size_t o = 0; o < outer; ++o) {
      const auto first = loaded.bytes().subspan(o * rows * inner, inner);
      for (std::size_t r = 1; r < rows; ++r) {
        const auto other = loaded.bytes().subspan((o * rows + r) * inner, inner);
        if (!std::equal(first.begin(), first.end(), other.begin())) {
          refuse(node, fmt::format("constant {} has different values for the samples of a batch", quote(value.name())));
        }
      }
      std::copy(first.begin(), first.end(), row.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(o * inner));
    }
    return constant(std::move(row), value.name());
  }

  // Operands of broadcasting operators that have the batch as a number become one row, which broadcasts.
  bool one_row(const ir::Node& node, ir::Node& own) {
    static const std::unordered_set<std::string_view> kBroadcasting = {
        "Add",  "And",         "Div", "Equal", "Gemm", "Greater", "GreaterOrEqual",
        "Less", "LessOrEqual", "Max", "Mean",  "Min",  "Mod",     "Mul",
        "Or",   "PRelu",       "Pow", "Sub",   "Sum",  "Where",   "Xor"};
    if (!node.domain().empty() || !kBroadcasting.contains(node.op_type())) return false;
    const Shape* result = before(node.output(0));
    std::optional<std::size_t> from_end;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (!has_batch(node.input(i))) continue;
      const auto place = find_batch(*node.input(i)->shape());
      if (!place || place->per_sample.number() != 1) return false;
      from_end = node.input(i)->shape()->size() - place->axis;
    }
    if (!from_end || !result) return false;
    bool repaired = false;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const ir::Value* value = node.input(i);
      if (!value || !value->shape() || has_batch(value) || value->shape()->size() < *from_end) continue;
      const std::size_t axis = value->shape()->size() - *from_end;
      if ((*value->shape())[axis].number() != size_) continue;
      own.set_input(i, &first_row(node, *own.input(i), axis));
      note(node, ir::text(*value->shape()), "one row");
      repaired = true;
    }
    return repaired;
  }

  // ---- new values
  ir::Value& constant(ir::Tensor tensor, const std::string& name) {
    const ir::Dims& dims = tensor.dims();
    const ir::Type type = ir::Type::tensor(tensor.type(), Shape(dims.begin(), dims.end()));
    ir::Value& value = *model.graph->add_initializer(name, std::move(tensor));
    value.set_type(type);
    return value;
  }

  // An int64 vector of these numbers and multiples of the batch, for a node before which it is computed where it has to be.
  ir::Value& vector(ir::Node& before, const std::vector<Dimension>& dims, const std::string& name) {
    ir::Graph& graph = before.graph();
    std::vector<ir::Value*> pieces;
    std::vector<std::int64_t> numbers;
    const auto flush = [&] {
      if (!numbers.empty()) pieces.push_back(&constant(ir::Tensor::vector(numbers), name));
      numbers.clear();
    };
    for (const Dimension& dim : dims) {
      if (dim.number()) {
        numbers.push_back(*dim.number());
        continue;
      }
      flush();
      const auto factor = exact_div(dim, Dimension::symbol(kBatch));
      if (!factor || !factor->number()) refuse(before, "a shape of " + dim.text() + " can't be computed");
      ir::Value* piece = &batch();
      if (*factor->number() != 1) {
        ir::Node& mul = graph.insert(
            "Mul", {piece, &constant(ir::Tensor::vector(std::vector{*factor->number()}), name)}, 0, &before);
        piece = mul.add_output(graph.fresh_name(name));
      }
      pieces.push_back(piece);
    }
    flush();
    if (pieces.size() == 1) return *pieces[0];
    ir::Node& joined = graph.insert("Concat", pieces, 0, &before);
    joined.set_attribute("axis", std::int64_t{0});
    return *joined.add_output(graph.fresh_name(name));
  }

  // The batch as a vector of one element, from the first input that has it.
  ir::Value& batch() {
    ir::Graph& graph = *model.graph;
    if (batch_) return *batch_;
    ir::Value* input = nullptr;
    for (ir::Value* each : graph.inputs()) {
      if (!input && has_batch(each)) input = each;
    }
    ir::Node& shape = graph.insert("Shape", {input}, 0, graph.first());
    ir::Value* all = shape.add_output(graph.fresh_name(input->name() + "_shape"));
    if (model.opset() >= 15) {
      shape.set_attribute("start", std::int64_t{0});
      shape.set_attribute("end", std::int64_t{1});
      return *(batch_ = all);
    }
    ir::Node& gather = graph.insert(
        "Gather", {all, &constant(ir::Tensor::vector(std::vector<std::int64_t>{0}), "batch_axis")}, 0, shape.next());
    return *(batch_ = gather.add_output(graph.fresh_name("batch")));
  }

  void note(const ir::Node& node, std::string before, std::string after) {
    for (std::size_t at; (at = after.find("`" + std::string(kBatch) + "`")) != std::string::npos;) {
      after.replace(at, kBatch.size() + 2, "batch");
    }
    changes.push_back({node.name(), node.op_type(), std::move(before), std::move(after)});
  }

  const ir::Model& inferred_;
  const std::int64_t size_;
  const std::vector<std::size_t>& choices_;
  std::size_t taken_ = 0;
  ir::Value* batch_ = nullptr;
};

// ---- verification

// Samples of `tensor` by number: `per_sample` rows of `axis` each.
ir::Tensor take(const ir::Tensor& tensor, std::size_t axis, std::int64_t per_sample,
                const std::vector<std::int64_t>& samples) {
  std::size_t outer = 1, inner = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(tensor.dims()[i]);
  for (std::size_t i = axis + 1; i < tensor.rank(); ++i) inner *= static_cast<std::size_t>(tensor.dims()[i]);
  ir::Dims dims = tensor.dims();
  const auto rows = static_cast<std::size_t>(dims[axis]), per = static_cast<std::size_t>(per_sample);
  dims[axis] = per_sample * static_cast<std::int64_t>(samples.size());
  if (tensor.is_string()) {
    std::vector<std::string> values;
    for (std::size_t o = 0; o < outer; ++o) {
      for (const std::int64_t sample : samples) {
        for (std::size_t i = 0; i < per * inner; ++i) {
          values.push_back((*tensor.string_values())[(o * rows + static_cast<std::size_t>(sample) * per) * inner + i]);
        }
      }
    }
    return ir::Tensor::strings(dims, std::move(values));
  }
  inner *= ir::bit_width(tensor.type()) / 8;
  ir::Tensor result = ir::Tensor::allocate(tensor.type(), dims);
  std::byte* out = result.mutable_bytes().data();
  for (std::size_t o = 0; o < outer; ++o) {
    for (const std::int64_t sample : samples) {
      const auto piece =
          tensor.bytes().subspan((o * rows + static_cast<std::size_t>(sample) * per) * inner, per * inner);
      std::copy(piece.begin(), piece.end(), out);
      out += piece.size();
    }
  }
  return result;
}

bool can_take(const ir::Type& type) {
  return type.is_tensor() && (type.element == ir::ElementType::string || ir::bit_width(type.element) % 8 == 0);
}

// Empty: equal. Sets result.not_verified where no run was possible.
std::string compare_runs(const ir::Model& original, std::int64_t size, const ir::Model& changed,
                         const ir::Model& followed, const std::vector<std::int64_t>& sizes, const BatchOptions& options,
                         BatchResult& result) {
  for (const ir::Value* value : original.graph->inputs()) {
    if (!can_take(value->type())) {
      result.not_verified = "inputs that are no tensors of whole bytes can't be cut into samples";
      return "";
    }
  }
  bool random = false;
  ir::for_each_graph(*original.graph, [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      random |= node.op_type().starts_with("Random") || node.is("Multinomial") || node.is("Bernoulli");
    }
  });
  if (random) {
    result.not_verified = "the model draws random numbers";
    return "";
  }
  exec::SessionOptions session_options;
  session_options.seed = options.seed;
  std::optional<exec::Session> old_session, new_session;
  try {
    old_session.emplace(original, session_options);
    new_session.emplace(changed, session_options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    result.not_verified = error.message();
    return "";
  }
  int variation = 0;
  for (const std::int64_t count : sizes) {
    // A pool of samples, and the original's results for it, one original batch at a time. A sample may come in two windows.
    std::vector<std::vector<std::int64_t>> windows;
    for (std::int64_t start = 0; start < count; start += size) {
      const std::int64_t from = std::max<std::int64_t>(0, std::min(start, count - size));
      std::vector<std::int64_t> window;
      for (std::int64_t i = 0; i < size; ++i) window.push_back((from + i) % count);
      windows.push_back(std::move(window));
    }
    std::vector<ir::NamedDatum> inputs;
    std::vector<ir::Dims> unused;
    try {
      // Random inputs of the original's signature, as many as give enough samples.
      for (std::int64_t made = 0; made < count; made += size) {
        // Always the sizes of the first variation, so that other symbolic dimensions agree; values by the seed.
        auto drawn = exec::random_inputs(original, options.seed * 1000 + static_cast<std::uint64_t>(++variation), 0);
        if (inputs.empty()) {
          inputs = std::move(drawn);
          continue;
        }
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          const ir::Tensor a = inputs[i].datum.tensor()->loaded(), b = drawn[i].datum.tensor()->loaded();
          ir::Dims dims = a.dims();
          dims[0] += b.dims()[0];
          if (a.is_string()) {
            std::vector<std::string> values = *a.string_values();
            values.insert(values.end(), b.string_values()->begin(), b.string_values()->end());
            inputs[i].datum = ir::Tensor::strings(dims, std::move(values));
            continue;
          }
          ir::Tensor joined = ir::Tensor::allocate(a.type(), dims);
          std::copy(a.bytes().begin(), a.bytes().end(), joined.mutable_bytes().begin());
          std::copy(b.bytes().begin(), b.bytes().end(),
                    joined.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(a.bytes().size()));
          inputs[i].datum = std::move(joined);
        }
      }
      std::vector<std::int64_t> all;
      for (std::int64_t i = 0; i < count; ++i) all.push_back(i);
      for (ir::NamedDatum& input : inputs) input.datum = take(*input.datum.tensor(), 0, 1, all);
      std::vector<std::vector<ir::Datum>> expected;
      for (const auto& window : windows) {
        std::vector<ir::NamedDatum> part;
        for (const ir::NamedDatum& input : inputs)
          part.push_back({input.name, take(*input.datum.tensor(), 0, 1, window)});
        expected.push_back(old_session->run(part));
      }
      std::vector<ir::Datum> found;
      try {
        found = new_session->run(inputs);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::bad_input) throw;
        return fmt::format("with a batch of {} it does not run: {}", count, error.message());
      }
      for (std::size_t o = 0; o < found.size(); ++o) {
        const std::string& name = new_session->output_names()[o];
        const ir::Value* declared = followed.graph->find(name);
        const ir::Tensor* tensor = found[o].tensor();
        if (!tensor || !declared || !declared->shape() || !can_take(declared->type())) continue;
        const auto place = find_batch(*declared->shape());
        for (std::size_t w = 0; w < windows.size(); ++w) {
          ir::Datum part = found[o];
          if (place) {
            const std::int64_t per_sample = tensor->dims().at(place->axis) / count;
            if (per_sample * count != tensor->dims()[place->axis])
              return fmt::format("output {} has no batch", quote(name));
            part = take(*tensor, place->axis, per_sample, windows[w]);
          }
          if (const auto difference = rewrite::compare(name, expected[w][o], part, options.tolerance)) {
            return fmt::format("with a batch of {} output {} differs from the original's, sample by sample: {}", count,
                               quote(name), difference->detail);
          }
        }
      }
    } catch (const Error& error) {
      // Values the original does not take: its own business.
      if (error.kind() != ErrorKind::bad_input && error.kind() != ErrorKind::unsupported) throw;
      result.not_verified = error.message();
      continue;
    }
    ++result.runs;
    result.sizes.push_back(count);
  }
  if (result.runs > 0) result.not_verified.clear();
  return "";
}

// The size of the first dimension that all inputs have; nullopt where it is a symbol already.
std::optional<std::int64_t> fixed_batch(const ir::Model& model) {
  std::optional<std::int64_t> size;
  bool symbolic = false;
  std::string first;
  for (const ir::Value* input : model.graph->inputs()) {
    if (input->initializer()) continue;
    if (!input->type().is_tensor() || !input->shape() || input->shape()->empty()) {
      usage_error("--batch: input {} has no first dimension; name the inputs with --shape", quote(input->name()));
    }
    const Dimension& dim = (*input->shape())[0];
    if (!dim.number()) {
      symbolic = true;
    } else if (size && *size != *dim.number()) {
      usage_error(
          "--batch: the first dimension of input {} is {}, that of {} is {}, so they are not both the batch; name "
          "the inputs with --shape",
          quote(first), *size, quote(input->name()), *dim.number());
    } else {
      size = *dim.number();
      first = input->name();
    }
  }
  if (size && symbolic) {
    usage_error(
        "--batch: the first dimension of input {} is fixed and that of others is not; name the inputs with --shape",
        quote(first));
  }
  return size;
}

}  // namespace

BatchResult set_batch(ir::Model& model, const Dimension& batch, const BatchOptions& options) {
  BatchResult result;
  const std::optional<std::int64_t> size = fixed_batch(model);
  const auto set_inputs = [&](ir::Model& of) {
    for (const ir::Value* input : std::vector<ir::Value*>(of.graph->inputs().begin(), of.graph->inputs().end())) {
      if (input->initializer()) continue;
      Shape shape = *input->shape();
      shape[0] = batch;
      shapes::set_input_shape(of, input->name(), shape);
    }
  };
  if (!size || batch.number() == *size) {
    set_inputs(model);
    return result;
  }
  // Before IR version 4 every initializer is an input with a default value; those are the constants of such models.
  if (model.ir_version < 4) {
    const auto lift = rewrite::parse_pipeline("lift-initializers", passes::list());
    (void)rewrite::run_pipeline(model, lift);
  }
  if (*size < 1) usage_error("--batch: the first dimension of the inputs is {}", *size);

  ir::Model inferred = model.clone();
  shapes::Inference(inferred).run();
  std::vector<std::int64_t> sizes{*size + 1, 2 * *size};
  if (*size == 1) sizes[1] = 3;
  if (batch.number()) sizes = {*batch.number()};

  // Places for the batch that leave a choice are tried in turn; real models have none or one or two.
  constexpr int kMostTries = 16;
  std::vector<std::size_t> choices;
  std::optional<Error> refusal;
  std::string difference;
  for (int tries = 0; tries < kMostTries; ++tries) {
    Attempt attempt(model, inferred, *size, choices);
    bool complete = false;
    try {
      attempt.run();
      complete = true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported) throw;
      if (!refusal) refusal = error;
    }
    if (complete) {
      ir::Model followed = attempt.model.clone();
      shapes::Inference(followed).run();
      set_inputs(attempt.model);
      BatchResult tried;
      tried.changes = std::move(attempt.changes);
      std::string differs;
      if (options.verify) {
        differs = compare_runs(model, *size, attempt.model, followed, sizes, options, tried);
      } else {
        tried.not_verified = "not asked";
      }
      if (differs.empty()) {
        if (!attempt.options.empty() && tried.runs == 0) {
          unsupported(
              "the batch can't be changed: dimensions of 1 leave more than one place for it, and no run can tell "
              "which is right ({})",
              tried.not_verified);
        }
        shapes::Inference(attempt.model).run();  // outputs are declared with what they give now
        model = std::move(attempt.model);
        return tried;
      }
      if (difference.empty()) difference = differs;
    }
    // The next combination, the last choice first.
    choices.resize(attempt.options.size(), 0);
    while (!choices.empty() && choices.back() + 1 >= attempt.options[choices.size() - 1]) choices.pop_back();
    if (choices.empty()) break;
    ++choices.back();
  }
  if (!difference.empty()) {
    unsupported("the batch can't be changed: {}, so the model mixes the samples of a batch", difference);
  }
  throw *refusal;
}

}  // namespace hone::surgery
