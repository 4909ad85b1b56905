#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/schedule/passes/verify/checks.h"

namespace meshattn::verification {

namespace {

constexpr OpId kInput = kNone - 1;  ///< in place of the maker of an input

class DataflowCheck {
 public:
  DataflowCheck(const Schedule& s, Findings& found) : s_(s), found_(found), uses_(s.values.size()) {}

  void run() {
    for (ValueId v : s_.inputs) check_input(v);
    for_each_op(s_, found_, [&](Rank rank, OpId op, const Op& step) {
      read_partials(rank, op, step);
      for_each_operand(
          s_, step, rank, [&](ValueId v) { read(rank, op, v); }, [&](ValueId v) { make(rank, op, v); });
    });
    check_parts();
    check_used();
  }

 private:
  struct Use {
    OpId maker = kNone;         ///< last so far
    OpId reader = kNone;        ///< last so far
    OpId whole_reader = kNone;  ///< for partials: the op that reads all of it
  };
  /// A part of a partial, read by `op`: the rows that it has in common with `into`.
  struct Part {
    ValueId partial;
    ValueId into;
    OpId op;
  };
  struct PartCell {
    Cell cell;
    HeadRange heads;
    OpId op;
  };

  void read_partials(Rank rank, OpId op, const Op& step);
  void read_partial(OpId op, ValueId v, ValueId into);
  void check_parts();
  void check_read_once(std::span<const Part> parts);
  void read(Rank rank, OpId op, ValueId v);
  void make(Rank rank, OpId op, ValueId v);
  void check_input(ValueId v);
  void check_output(ValueId v);
  void check_used();

  [[nodiscard]] bool contributes(OpId op) const {
    return std::holds_alternative<Attend>(s_.ops[op]) || std::holds_alternative<AttendBackward>(s_.ops[op]);
  }
  [[nodiscard]] bool owned(ValueId v) const {
    return std::ranges::all_of(s_.region(v).cells,
                               [&](Cell cell) { return s_.problem.owner(cell) == s_.values[v].rank; });
  }
  void bad(OpId op, ValueId v, std::string_view what) {
    found_.add({s_.values[v].rank, op, v, fmt::format("{} {}", describe(s_, v), what)});
  }

  const Schedule& s_;
  Findings& found_;
  std::vector<Use> uses_;
  std::vector<Part> parts_;
  std::vector<PartCell> cells_;
};

/// Notes the part of each partial that the op reads: the rows in common with the partial that it makes.
void DataflowCheck::read_partials(Rank rank, OpId op, const Op& step) {
  if (const auto* c = std::get_if<Combine>(&step)) {
    for (ValueId source : s_.sources_of(*c)) read_partial(op, source, c->made);
  } else if (const auto* x = std::get_if<Exchange>(&step)) {
    for (TransferId t : s_.transfers_of(*x))
      if (s_.values[s_.transfers[t].source].rank == rank)
        read_partial(op, s_.transfers[t].source, s_.transfers[t].made);
  }
}

void DataflowCheck::read_partial(OpId op, ValueId v, ValueId into) {
  if (!is_partial(s_, v)) return;
  if (s_.values[v].region != s_.values[into].region && !contains(s_.region(into), s_.region(v))) {
    parts_.push_back({v, into, op});
    return;
  }
  OpId& whole_reader = uses_[v].whole_reader;
  if (whole_reader != kNone)
    bad(op, v,
        fmt::format("is a partial and read twice, by {} and {}", describe_op(s_, whole_reader), describe_op(s_, op)));
  whole_reader = op;
}

/// The parts of a partial that is read in parts are disjoint and cover it.
void DataflowCheck::check_parts() {
  std::ranges::stable_sort(parts_, {}, &Part::partial);
  for (auto begin = parts_.begin(); begin != parts_.end() && !found_.full();) {
    const auto end =
        std::find_if(begin, parts_.end(), [&](const Part& part) { return part.partial != begin->partial; });
    check_read_once({begin, end});
    begin = end;
  }
}

void DataflowCheck::check_read_once(std::span<const Part> parts) {
  const ValueId partial = parts.front().partial;
  const Region whole = s_.region(partial);
  cells_.clear();
  if (const OpId whole_reader = uses_[partial].whole_reader; whole_reader != kNone)
    for (Cell cell : whole.cells) cells_.push_back({cell, whole.heads, whole_reader});
  for (const Part& part : parts) {
    const Region into = s_.region(part.into);
    const HeadRange heads = common(whole.heads, into.heads);
    for_each_common_cell(whole.cells, into.cells, [&](Cell cell) { cells_.push_back({cell, heads, part.op}); });
  }
  std::ranges::stable_sort(cells_, {}, [](const PartCell& part) { return std::pair(part.cell, part.heads.begin); });
  auto next = cells_.begin();
  for (Cell cell : whole.cells) {
    std::int32_t reached = whole.heads.begin;
    OpId before = kNone;
    for (; next != cells_.end() && next->cell == cell && next->heads.begin <= reached; ++next) {
      if (next->heads.begin < reached)
        return bad(next->op, partial,
                   fmt::format("is a partial whose cell {}, head {} is read twice, by {} and {}", cell,
                               next->heads.begin, describe_op(s_, before), describe_op(s_, next->op)));
      reached = next->heads.end;
      before = next->op;
    }
    if (reached < whole.heads.end)
      return bad(parts.back().op, partial,
                 fmt::format("is a partial whose cell {}, head {} is never read", cell, reached));
  }
}

void DataflowCheck::read(Rank rank, OpId op, ValueId v) {
  Use& use = uses_[v];
  if (use.maker == kNone)
    bad(op, v, fmt::format("is read by op {} of rank {} before it is made", op, rank));
  else if (use.maker == op)
    bad(op, v, fmt::format("is read by op {} of rank {}, which makes it", op, rank));
  use.reader = op;
}

void DataflowCheck::make(Rank rank, OpId op, ValueId v) {
  Use& use = uses_[v];
  if (use.maker == kInput)
    bad(op, v, fmt::format("is an input and made by op {} of rank {}", op, rank));
  else if (use.maker != kNone && !(contributes(use.maker) && contributes(op)))
    bad(op, v, fmt::format("is made twice, by op {} and op {} of rank {}", use.maker, op, rank));
  if (use.reader != kNone)
    bad(op, v, fmt::format("is made by op {} of rank {} after op {} has read it", op, rank, use.reader));
  use.maker = op;
}

/// Inputs of a backward pass may be parts of other ranks' chunks that the forward pass left here, but not of dO, which
/// did not exist then.
void DataflowCheck::check_input(ValueId v) {
  const Tensor tensor = s_.values[v].tensor;
  const bool backward = s_.problem.pass == Pass::kBackward;
  const bool allowed = tensor == Tensor::kQ || tensor == Tensor::kKV ||
                       (backward && (tensor == Tensor::kO || tensor == Tensor::kDO || tensor == Tensor::kDelta));
  if (!allowed) bad(kNone, v, "is an input, but does not exist before this pass");
  const Dtype dtype = tensor == Tensor::kDelta ? Dtype::kFp32 : s_.problem.shape.dtype;
  if (s_.values[v].dtype != dtype) bad(kNone, v, fmt::format("is an input and should be {}", name_of(dtype)));
  const bool may_be_resident = backward && tensor != Tensor::kDO;
  if (!may_be_resident && !owned(v))
    bad(kNone, v, fmt::format("is an input, but rank {} does not own its cells", s_.values[v].rank));
  uses_[v].maker = kInput;
}

void DataflowCheck::check_output(ValueId v) {
  const Value& value = s_.values[v];
  if (!is_partial(s_, v)) bad(kNone, v, "is an output, but not a result of this pass");
  if (value.dtype != s_.problem.shape.dtype)
    bad(kNone, v, fmt::format("is an output and should be {}", name_of(s_.problem.shape.dtype)));
  if (!owned(v)) bad(kNone, v, fmt::format("is an output, but rank {} does not own its cells", value.rank));
  if (uses_[v].maker == kNone) bad(kNone, v, "is an output and never made");
  if (uses_[v].reader != kNone && is_partial(s_, v))
    bad(uses_[v].reader, v, fmt::format("is a partial, an output and read by op {}", uses_[v].reader));
}

void DataflowCheck::check_used() {
  auto output = s_.outputs.begin();
  for (ValueId v = 0; v < s_.values.size() && !found_.full(); ++v) {
    if (output != s_.outputs.end() && *output == v) {
      check_output(v);
      ++output;
    } else if (uses_[v].reader == kNone && uses_[v].maker != kInput) {
      bad(uses_[v].maker, v, "is neither read nor an output");
    }
  }
}

}  // namespace

void check_dataflow(const Schedule& s, Findings& found) { DataflowCheck(s, found).run(); }

}  // namespace meshattn::verification
