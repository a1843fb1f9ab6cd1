// Giving a model another batch size, or a dynamic one, where an exporter baked the one it saw into constants.
//
// The first dimension of every input becomes a symbol, and shapes are inferred anew, node by node. Where a constant decides
// a shape (targets of Reshape, sizes of Resize), the dimension that holds the batch is the one with as many elements before
// it as the input has before its batch: that is what flattening keeps in place. Constants that stand beside the batch
// (tokens that are concatenated, initial states of recurrent layers) are repeated for every sample. Every other node has to
// give the shape it gave, with the batch in it.
//
// Where dimensions of 1 leave more than one place for the batch, the places are tried in turn, the one the input has first,
// and the first that gives the right results is taken; without a run to tell, such a model is refused.
//
// Verified: samples that run together give what the original gives for them, one original batch at a time.
//
// Refused, naming the node: what mixes samples or drops the batch (reductions over it, Squeeze, Gather and Slice of it); a
// batch that lies inside a merged dimension, not outermost in it; constants with different rows for a batch larger than 1;
// baked constants inside subgraphs and functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hone/ir/model.h"

namespace hone::surgery {

struct BatchOptions {
  bool verify = true;
  std::uint64_t seed = 0;
  double tolerance = 1e-4;  // as rewrite::VerifyOptions has it
};

struct BatchChange {
  std::string node, op_type;
  std::string before, after;  // of the constant, as text
};

struct BatchResult {
  std::vector<BatchChange> changes;
  int runs = 0;                     // of the new model, compared with runs of the original
  std::vector<std::int64_t> sizes;  // batches they were run with
  std::string not_verified;         // why not, if not
};

// `batch` is a number or a symbol. Inputs must have a first dimension; where those are symbols already, they are set and
// nothing else is to do.
BatchResult set_batch(ir::Model& model, const ir::Dimension& batch, const BatchOptions& options = {});

}  // namespace hone::surgery
