#include "hone/train/initialize.h"

#include <Eigen/Core>
#include <Eigen/QR>
#include <cmath>

#include "hone/support/random.h"
#include "hone/support/text.h"

namespace hone::train {
namespace {

constexpr std::string_view schemes[] = {"he", "he-uniform", "xavier", "xavier-normal", "lecun", "torch", "orthogonal"};

// FNV-1a: each weight draws from a stream of its own, so that adding one changes no other.
std::uint64_t stream_of(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return hash;
}

std::vector<double> normal(std::int64_t count, double deviation, Random& random) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = random.normal() * deviation;
  return values;
}
std::vector<double> uniform(std::int64_t count, double bound, Random& random) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = (2 * random.uniform() - 1) * bound;
  return values;
}

// The weights as matrices of `rows` rows, each with orthonormal rows or columns, whichever are fewer.
std::vector<double> orthogonal(std::int64_t count, std::int64_t rows, Random& random) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const std::int64_t columns = rows > 0 ? count / rows : 0;
  const bool wide = columns > rows;
  const std::int64_t tall = std::max(rows, columns), narrow = std::min(rows, columns);
  Matrix draws(tall, narrow);
  for (std::int64_t i = 0; i < tall; ++i) {
    for (std::int64_t j = 0; j < narrow; ++j) draws(i, j) = random.normal();
  }
  const Eigen::HouseholderQR<Matrix> qr(draws);
  Matrix q = qr.householderQ() * Matrix::Identity(tall, narrow);
  for (std::int64_t j = 0; j < narrow; ++j) {  // signs of the diagonal of R: uniform among orthogonal matrices
    if (qr.matrixQR()(j, j) < 0) q.col(j) = -q.col(j);
  }
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j)
      values[static_cast<std::size_t>(i * columns + j)] = wide ? q(j, i) : q(i, j);
  }
  return values;
}

std::vector<double> draw_matrix(const Weight& weight, std::int64_t count, std::string_view scheme, Random& random) {
  const auto in = static_cast<double>(std::max<std::int64_t>(weight.fan_in, 1));
  const auto out = static_cast<double>(std::max<std::int64_t>(weight.fan_out, 1));
  if (weight.recurrent || scheme == "orthogonal") {
    if (weight.dims.size() == 3 && weight.recurrent) {  // one square for each gate of each direction
      const std::int64_t size = weight.dims[2];
      std::vector<double> all;
      for (std::int64_t done = 0; size > 0 && done < count; done += size * size) {
        const std::vector<double> gate = orthogonal(std::min(size * size, count - done), size, random);
        all.insert(all.end(), gate.begin(), gate.end());
      }
      return all;
    }
    return orthogonal(count, weight.dims.empty() ? 1 : weight.dims[0], random);
  }
  if (scheme == "he") return normal(count, std::sqrt(2 / in), random);
  if (scheme == "he-uniform") return uniform(count, std::sqrt(6 / in), random);
  if (scheme == "xavier") return uniform(count, std::sqrt(6 / (in + out)), random);
  if (scheme == "xavier-normal") return normal(count, std::sqrt(2 / (in + out)), random);
  if (scheme == "lecun") return normal(count, std::sqrt(1 / in), random);
  return uniform(count, 1 / std::sqrt(in), random);  // torch
}

ir::Tensor tensor_of(const Weight& weight, const std::vector<double>& values) {
  if (weight.type == ir::ElementType::float64) return ir::Tensor::of<double>(weight.dims, values);
  std::vector<float> floats(values.begin(), values.end());
  if (weight.type == ir::ElementType::float32) return ir::Tensor::of<float>(weight.dims, floats);
  unsupported("weight {} has element type {}: training needs float", quote(weight.name), ir::name(weight.type));
}

}  // namespace

std::span<const std::string_view> initializations() { return schemes; }

void initialize(ir::Model& model, std::string_view scheme, std::uint64_t seed) {
  if (std::find(std::begin(schemes), std::end(schemes), scheme) == std::end(schemes)) {
    std::vector<std::string> names(std::begin(schemes), std::end(schemes));
    const std::string near = nearest(scheme, names);
    usage_error("no initialization is called {}; there are {}{}", quote(scheme), join(names, ", "),
                near.empty() ? "" : fmt::format(". Did you mean {}?", near));
  }
  std::int64_t last_fan_in = 1;
  for (const Weight& weight : find_weights(model)) {
    std::int64_t count = 1;
    for (const std::int64_t dim : weight.dims) count *= dim;
    Random random(seed, stream_of(weight.name));
    std::vector<double> values(static_cast<std::size_t>(count), 0.0);
    switch (weight.role) {
      case Role::matrix:
        values = draw_matrix(weight, count, scheme, random);
        last_fan_in = std::max<std::int64_t>(weight.fan_in, 1);
        break;
      case Role::embedding:
        values = normal(count, 0.02, random);
        break;
      case Role::bias:  // follows its matrix in the order of the graph
        if (scheme == "torch") values = uniform(count, 1 / std::sqrt(static_cast<double>(last_fan_in)), random);
        break;
      case Role::scale:
      case Role::variance:
        values.assign(values.size(), 1.0);
        break;
      case Role::slope:
        values.assign(values.size(), 0.25);
        break;
      case Role::mean:
        break;
    }
    set_weight(model, weight.name, tensor_of(weight, values));
  }
}

std::vector<std::string> empty_matrices(const ir::Model& model) {
  std::vector<std::string> names;
  for (const Weight& each : find_weights(model)) {
    if (each.role != Role::matrix) continue;
    const std::vector<float> values = weight(model, each.name).to_floats();
    if (std::all_of(values.begin(), values.end(), [](float x) { return x == 0; })) names.push_back(each.name);
  }
  return names;
}

void set_weight(ir::Model& model, std::string_view name, ir::Tensor tensor) {
  ir::Graph& graph = *model.graph;
  ir::Value* value = graph.find(name);
  if (!value) fail(ErrorKind::internal, "no weight {}", quote(name));
  if (value->producer()) {
    const ir::Tensor* old = value->producer()->tensor("value");
    if (old) tensor.rest = old->rest;
    value->producer()->set_attribute("value", std::move(tensor));
    return;
  }
  if (value->initializer()) tensor.rest = value->initializer()->rest;
  graph.set_initializer(*value, std::move(tensor));
}

ir::Tensor weight(const ir::Model& model, std::string_view name) {
  const ir::Value* value = model.graph->find(name);
  if (!value) fail(ErrorKind::internal, "no weight {}", quote(name));
  if (const ir::Tensor* tensor = value->initializer()) return tensor->loaded();
  if (value->producer() && value->producer()->tensor("value")) return value->producer()->tensor("value")->loaded();
  const ir::SparseTensor* sparse = value->sparse_initializer();
  if (!sparse) fail(ErrorKind::internal, "{} is no weight", quote(name));
  ir::Tensor dense = ir::Tensor::zeros(sparse->values.type(), sparse->dims);
  const std::vector<std::int64_t> indices = sparse->indices.to_ints();
  const ir::Tensor values = sparse->values.loaded();
  const std::size_t width = ir::bit_width(values.type()) / 8;
  const std::size_t rank = sparse->indices.rank() == 2 ? static_cast<std::size_t>(sparse->indices.dims()[1]) : 1;
  for (std::int64_t i = 0; i < values.element_count(); ++i) {
    std::int64_t at = 0;
    for (std::size_t d = 0; d < rank; ++d) {
      const std::int64_t index = indices[static_cast<std::size_t>(i) * rank + d];
      at = rank == 1 && sparse->indices.rank() == 1 ? index : at * sparse->dims[d] + index;
    }
    if (at < 0 || at >= dense.element_count())
      bad_input("sparse initializer {}: index {} of {}", quote(name), at, dense.element_count());
    std::copy_n(values.bytes().begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * width), width,
                dense.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(at) * width));
  }
  return dense;
}

}  // namespace hone::train
