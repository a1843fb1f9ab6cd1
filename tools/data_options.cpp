#include "data_options.h"

#include "hone/data/preprocess.h"
#include "hone/support/error.h"

namespace hone::tools {

void DataOptions::add_to(Command command, bool labelled) {
  const std::string group = "Data";
  Option data =
      command.add_option("--data", sources, ".npz, .npy, .csv, .jsonl or IDX; NAME=FILE names a lone array; repeatable")
          .type_name("FILE")
          .group(group);
  Option target =
      command.add_option("--label", label, "array or column with the labels").type_name("NAME").group(group);
  if (labelled) {
    data.required();
    target.required();
  }
  command.add_option("--rows", rows, "only these rows, such as 0:1000 or -500:").type_name("RANGES").group(group);
  command.add_option("--normalize", normalize, "scale, mean and std by channel, or 'imagenet'; see docs/data.md")
      .type_name("[INPUT:]SPEC")
      .group(group);
  command.add_option("--array", arrays, "which array feeds an input, where names differ")
      .type_name("INPUT=ARRAY")
      .group(group);
  command.add_flag("--round", round, "let numbers be rounded to the type a model's input has").group(group);
}

data::Dataset DataOptions::open() const {
  data::DatasetOptions options;
  options.label = label;
  options.rows = rows;
  return data::Dataset::open(sources, options);
}

data::FeedOptions DataOptions::feed() const {
  data::FeedOptions options;
  for (const std::string& text : normalize)
    options.preprocess.insert_or_assign(data::parse_normalize(text).first, data::parse_normalize(text).second);
  for (const std::string& text : arrays) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) usage_error("--array {} is not INPUT=ARRAY", hone::quote(text));
    options.arrays[text.substr(0, equals)] = text.substr(equals + 1);
  }
  options.round = round;
  return options;
}

}  // namespace hone::tools
