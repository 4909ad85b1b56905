#pragma once

#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/algorithms/mesh_form.h"
#include "core/algorithms/order/order.h"
#include "core/planner/grid_placement.h"
#include "core/report/plan_facts.h"
#include "core/report/summary.h"

namespace meshattn {

/// What was asked: the keys that stand before the results, for whoever reads the file later.
struct Question {
  std::string version;
  std::string command;  ///< the verb
  std::string model;    ///< empty if the shape was given in numbers
  std::string cluster;
  Problem problem;
  std::vector<Pass> passes;
  bool is_planned = true;  ///< else the schedule was given: nothing is known of its order and of how partials travel
  std::optional<Order> order = std::nullopt;  ///< none: whichever is fastest
  Dtype wire = Dtype::kFp32;
  PlacementRule placement = LinearRule{};
  bool partition_open = false;  ///< each row has the partition that is fastest for it
  std::string framework = {};   ///< empty: this project's own kernels
  int figures = 0;              ///< that the cluster and its GPUs are known by
  int assumed = 0;              ///< of these: whose source says so
};

/// What came out of one algorithm in one form, or why nothing did.
struct Outcome {
  std::string algorithm;
  std::string choice;           ///< in words: its tile and what else is chosen about it
  Partition partition = {};     ///< how tokens are dealt
  std::vector<MeshForm> forms;  ///< of each pass; empty if impossible
  std::vector<Summary> passes;  ///< as many as were asked for, in that order; empty if impossible
  std::string impossible;
  bool is_fastest = false;    ///< of several; of those that are as fast, the one that receives least
  bool within_range = false;  ///< of several: whether it is no further from the fastest than the spread of that

  /// All passes one after the other.
  [[nodiscard]] Summary total() const;
};

/// One object: the question, then the keys of Summary; after two passes also "forward" and "backward" with such keys.
void write_json(std::ostream& out, const Question& question, const Outcome& outcome);

/// One object: the question, then "rows", each an outcome or {"algorithm", "choice", "not_possible"}.
void write_json(std::ostream& out, const Question& question, std::span<const Outcome> rows);

/// One object: the question, algorithm and tile, then what is known of the schedule of each pass, by its name.
void write_json(std::ostream& out, const Question& question, std::string_view algorithm,
                std::span<const MeshForm> forms, std::span<const PlanFacts> passes);

/// A summary as text and back, without loss: how a child process hands it over.
[[nodiscard]] std::string to_text(const Summary& summary);
[[nodiscard]] Summary summary_from(std::string_view text);

}  // namespace meshattn
