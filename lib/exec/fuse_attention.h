// Fusing at plan time: attention that is spelled out, MatMul of Softmax of a MatMul, becomes one node, which holds the scores
// of a few queries at a time.
//
// The fused node is "Attention" of the domain "hone.fused". Its inputs are queries, keys, values, and what the steps on the
// scores take. read_attention() gives back its attributes, and `fallback` holds the nodes as they were, as fuse() has it
// (exec/fuse.h).
//
// Seen through: a factor on the scores; masks that are added, or chosen by Where; the transpositions that take heads apart
// and put them together. Left alone: values that somebody else reads, that are outputs, or that an observer or extra output
// asks for; a softmax over anything but the keys; a factor behind a mask; scores that something else changes (Dropout in training,
// a soft cap).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "exec/private_graph.h"

namespace hone::exec {

struct FusedAttention {
  enum class Order {
    plain,    // [.., rows, size]; of keys: [.., size, rows], as MatMul takes them
    by_head,  // of keys: [.., rows, size]
    by_row,   // [batch, rows, heads, size]
  };
  struct Step {
    enum class Kind {
      add,          // input
      where_true,   // the scores where the input is true, `number` elsewhere
      where_false,  // the other way round
    };
    Kind kind = Kind::add;
    float number = 0;
  };
  Order queries = Order::plain, keys = Order::plain, values = Order::plain, result = Order::plain;
  float scale = 1;
  std::vector<Step> steps;  // on the scaled scores; the first takes input 3, and so on
};

// Nullopt for a node that is not fused.
std::optional<FusedAttention> read_attention(const ir::Node& node);

// Names in `keep` stay values of their own.
void fuse_attention(PrivateGraph& graph, const std::vector<std::string>& keep);

}  // namespace hone::exec
