// Versions of the format and of operator sets, and what makes a sparse tensor valid.
#include "onnx/versions.h"

#include <onnx/defs/schema.h>

#include "hone/onnx/ir_version.h"
#include "hone/onnx/schema.h"
#include "hone/support/error.h"

namespace hone::onnx {
namespace {

// ONNX has added one or two versions a year: a file that is further ahead than this is damaged, not new.
constexpr std::int64_t plausible_lead = 20;

}  // namespace

void check_ir_version(std::int64_t version) {
  constexpr std::int64_t newest = newest_ir_version;
  if (version >= 1 && version <= newest) return;
  if (version > newest && version <= newest + plausible_lead) {
    unsupported("ir_version {}, and this build of hone knows versions up to {}", version, newest);
  }
  bad_input("ir_version {}, which ONNX does not have (the newest is {})", version, newest);
}

void check_opset_version(const std::string& domain, std::int64_t version) {
  const std::int64_t newest = latest_opset(domain);
  const std::string shown = domain.empty() ? "ai.onnx" : quote(domain);
  if (version < 1 || version > INT32_MAX)
    bad_input("domain {} is imported in version {}, which can't be", shown, version);
  if (newest == 0 || version <= newest) return;
  if (version <= newest + plausible_lead) {
    unsupported("domain {} is imported in version {}, and this build of hone knows versions up to {}", shown, version,
                newest);
  }
  bad_input("domain {} is imported in version {}, which ONNX does not have (the newest is {})", shown, version, newest);
}

std::int64_t latest_opset(std::string_view domain) {
  const auto& ranges = ::onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  const auto found = ranges.find(std::string(domain));
  return found == ranges.end() ? 0 : found->second.second;
}

void check_sparse(const ir::SparseTensor& sparse) {
  std::uint64_t count = 1;
  for (const std::int64_t dim : sparse.dims) {
    if (dim < 1 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(dim), &count) || count > INT64_MAX) {
      bad_input("a shape of {}, which a sparse tensor can't have", ir::text(sparse.dims));
    }
  }
  if (sparse.values.rank() != 1)
    bad_input("its values have the shape {}, not one dimension", ir::text(sparse.values.dims()));
  const ir::Tensor& indices = sparse.indices;
  const std::size_t rank = sparse.dims.size();
  const std::int64_t entries = sparse.values.dims()[0];
  if (indices.type() != ir::ElementType::int64)
    bad_input("its indices are of type {}, not int64", ir::name(indices.type()));
  const bool linear = indices.rank() == 1;
  const bool fits = linear ? indices.dims() == ir::Dims{entries}
                           : indices.dims() == ir::Dims{entries, static_cast<std::int64_t>(rank)};
  if (!fits) {
    bad_input("indices of shape {} for {} values of a tensor of shape {}", ir::text(indices.dims()), entries,
              ir::text(sparse.dims));
  }
  const std::vector<std::int64_t> numbers = indices.to_ints();
  std::int64_t last = -1;
  for (std::int64_t i = 0; i < entries; ++i) {
    std::int64_t place = 0;
    bool inside = true;
    if (linear) {
      place = numbers[i];
      inside = place >= 0 && static_cast<std::uint64_t>(place) < count;
    } else {
      for (std::size_t d = 0; d < rank; ++d) {
        const std::int64_t index = numbers[i * rank + d];
        inside &= index >= 0 && index < sparse.dims[d];
        place = inside ? place * sparse.dims[d] + index : 0;
      }
    }
    if (!inside) bad_input("index {} lies outside of the shape {}", i, ir::text(sparse.dims));
    if (place <= last) bad_input("index {} is {} the one before it", i, place == last ? "the same as" : "smaller than");
    last = place;
  }
}

}  // namespace hone::onnx
