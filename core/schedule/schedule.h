#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "core/problem/problem.h"
#include "core/schedule/region.h"

namespace meshattn {

/// Index into Schedule::values. A value is made only from values with smaller ids.
using ValueId = std::uint32_t;
/// Index into Schedule::transfers.
using TransferId = std::uint32_t;
/// Index into Schedule::ops, and into every Trace.
using OpId = std::uint32_t;
/// A lane of a rank, whose ops run one after the other. Lane 0 computes, the others communicate.
using Lane = std::uint8_t;

inline constexpr Lane kComputeLane = 0;
/// In place of an id: none.
inline constexpr std::uint32_t kNone = UINT32_MAX;

/// The tensor that a value is a part of. K and V are always stored and sent together.
enum class Tensor : std::uint8_t {
  kQ,
  kKV,
  kO,      ///< output or a partial of it, with one fp32 log-sum-exp per row and head
  kDO,     ///< gradient of the output
  kDelta,  ///< per row and head, fp32: rowsum(dO∘O) and the log-sum-exp
  kDQ,
  kDKV,
};

[[nodiscard]] std::string_view name_of(Tensor tensor);

/// @throws InvalidInput naming what was given and the possible names.
[[nodiscard]] Tensor parse_tensor(std::string_view name);

/// True for O, dQ and dKV, which are sums over blocks. Every (cell, head) of such a value is read exactly once, or the
/// whole value is an output.
[[nodiscard]] constexpr bool is_partial(Tensor t) { return t == Tensor::kO || t == Tensor::kDQ || t == Tensor::kDKV; }

/// True for KV and dKV, whose rows are keys; the rows of the others are queries.
[[nodiscard]] constexpr bool on_kv_side(Tensor t) { return t == Tensor::kKV || t == Tensor::kDKV; }

/// Data in single-assignment form: it is on one rank and is made once.
struct Value {
  Rank rank;
  RegionId region;
  Tensor tensor;
  Dtype dtype;

  friend bool operator==(const Value&, const Value&) = default;
};

/// One message: `made`, on another rank, becomes a copy of `source` or of some of its cells and heads. One SimGrid
/// comm, or one ncclSend and its ncclRecv.
struct Transfer {
  ValueId source;
  ValueId made;
  Lane lane;

  friend bool operator==(const Transfer&, const Transfer&) = default;
};

/// A row of a rectangle: a query value and the accumulator that its blocks contribute to.
struct AttendRow {
  ValueId q;
  ValueId o;

  friend bool operator==(const AttendRow&, const AttendRow&) = default;
};

/// A row of a rectangle of the backward pass: its operands and the accumulator of its dQ.
struct BackwardRow {
  ValueId q;
  ValueId d_o;
  ValueId delta;
  ValueId dq;

  friend bool operator==(const BackwardRow&, const BackwardRow&) = default;
};

/// A column of a rectangle of the backward pass: a key/value value and the accumulator of its dKV.
struct BackwardColumn {
  ValueId kv;
  ValueId dkv;

  friend bool operator==(const BackwardColumn&, const BackwardColumn&) = default;
};

// An op reads the part of each operand that its result needs. So slices of heads and parts of gathered chunks need no
// op of their own, and several ops may read a partial, each a part of it.

/// A rectangle: attends the blocks of rows × columns that the mask leaves. Each block contributes to the accumulator of
/// its row. A row attends the cells of its q with the heads of its accumulator: q and every column must have these
/// heads (columns the key/value heads of their groups), and the accumulator must have every cell that has a block. Rows
/// may share an accumulator. Its lists are ranges of Schedule::rows and Schedule::columns, so that neighbouring
/// rectangles can share them.
struct Attend {
  std::uint32_t first_row;
  std::uint32_t first_column;
  std::uint16_t row_count;
  std::uint16_t column_count;
};

/// Attend's backward: each block contributes to dQ of its row and to dKV of its column. A row attends the heads of its
/// dq: q, dO, delta and every kv and dkv of the op must have them (kv and dkv the key/value heads of their groups). dO,
/// delta and dq must have every cell of q that has a block, and dkv every such cell of its kv. Rows may share a dq and
/// columns a dkv.
struct AttendBackward {
  std::uint32_t first_row;
  std::uint32_t first_column;
  std::uint16_t row_count;
  std::uint16_t column_count;
};

/// Computes rowsum(dO∘O) from the complete O and copies O's log-sum-exp, for the cells and heads of `made`. o and dO
/// must have these.
struct Delta {
  ValueId o;
  ValueId d_o;
  ValueId made;
};

/// Merges partials into one, in listed order: by log-sum-exp for O, as a sum for gradients. Reads the rows of each
/// source that are in `made`, at least one. Every row of `made` is in some source. The result may have another dtype,
/// so this is also the cast.
struct Combine {
  std::uint32_t first_source;
  std::uint32_t source_count;
  ValueId made;
};

/// The transfers that one rank issues together, sent and received: one NCCL group.
struct Exchange {
  std::uint32_t first;
  std::uint32_t count;
};

/// One step of one rank.
using Op = std::variant<Attend, AttendBackward, Delta, Combine, Exchange>;

/// "attend", "exchange" and so on.
[[nodiscard]] std::string_view name_of(const Op& op);

/// `op` starts only after `after`, an earlier op of the same rank, has ended: it reuses bytes that `after` uses.
struct ReuseWait {
  OpId op;
  OpId after;

  friend bool operator==(const ReuseWait&, const ReuseWait&) = default;
};

/// The ops of every rank and their order. Ops of one lane run in listed order. An op also waits for the values that it
/// reads and for its reuse waits, and for nothing else. A schedule names no link, stream or time: the duration of an op
/// is the executor's concern. Plain data; `verify` proves it. core/schedule/README.md explains it with an example.
struct Schedule {
  Problem problem;
  RegionTable regions;
  std::vector<Value> values;
  std::vector<Transfer> transfers;
  std::vector<Op> ops;                  ///< rank after rank, each in the order in which its host issues them
  std::vector<std::uint32_t> first_op;  ///< ops of rank r are first_op[r] … first_op[r + 1] − 1

  std::vector<AttendRow> rows;
  std::vector<ValueId> columns;
  std::vector<BackwardRow> backward_rows;
  std::vector<BackwardColumn> backward_columns;
  std::vector<ValueId> combine_sources;
  std::vector<TransferId> exchange_transfers;

  /// Values that exist from the start, ascending. They are owned by their rank. In a backward pass, Q, KV, O and delta
  /// may also be residents: parts of other ranks' chunks that the forward pass is assumed to have left on the rank.
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;  ///< ascending: the complete O, or dQ and dKV, on their owners

  std::vector<ReuseWait> waits;       ///< ordered by op; written by `assign_memory`
  std::vector<std::uint64_t> offset;  ///< by value: bytes into its rank's arena; empty before `assign_memory`
  std::uint64_t peak_bytes = 0;       ///< size of the largest arena

  [[nodiscard]] OpId ops_begin(Rank r) const { return first_op[static_cast<std::size_t>(r)]; }
  [[nodiscard]] OpId ops_end(Rank r) const { return first_op[static_cast<std::size_t>(r) + 1]; }
  [[nodiscard]] Rank rank_of(OpId op) const;

  [[nodiscard]] Region region(ValueId v) const { return regions[values[v].region]; }
  /// The lane that an op runs on.
  [[nodiscard]] Lane lane(const Op& op) const;
  /// Number of lanes: the highest in use plus 1.
  [[nodiscard]] int lanes() const;

  [[nodiscard]] std::span<const AttendRow> rows_of(const Attend& a) const {
    return {rows.data() + a.first_row, a.row_count};
  }
  [[nodiscard]] std::span<const ValueId> columns_of(const Attend& a) const {
    return {columns.data() + a.first_column, a.column_count};
  }
  [[nodiscard]] std::span<const BackwardRow> rows_of(const AttendBackward& a) const {
    return {backward_rows.data() + a.first_row, a.row_count};
  }
  [[nodiscard]] std::span<const BackwardColumn> columns_of(const AttendBackward& a) const {
    return {backward_columns.data() + a.first_column, a.column_count};
  }
  [[nodiscard]] std::span<const ValueId> sources_of(const Combine& c) const {
    return {combine_sources.data() + c.first_source, c.source_count};
  }
  [[nodiscard]] std::span<const TransferId> transfers_of(const Exchange& x) const {
    return {exchange_transfers.data() + x.first, x.count};
  }
  [[nodiscard]] std::span<const ReuseWait> waits_of(OpId op) const;

  /// Rows of a value: tokens × heads × batch.
  [[nodiscard]] std::uint64_t rows_in(ValueId v) const { return rows_in(v, region(v)); }
  /// Rows of a value that are in `part`.
  [[nodiscard]] std::uint64_t rows_in(ValueId v, const Region& part) const;
  /// Bytes of a value, including log-sum-exp and delta.
  [[nodiscard]] std::uint64_t bytes(ValueId v) const;
  /// Bytes of the rows of a value that are in `part`.
  [[nodiscard]] std::uint64_t bytes(ValueId v, const Region& part) const;
  /// Bytes without log-sum-exp and delta. Volumes in chunks count these.
  [[nodiscard]] std::uint64_t payload_bytes(ValueId v) const;
};

/// The key/value value of a column of either pass.
[[nodiscard]] constexpr ValueId kv_of(ValueId column) { return column; }
[[nodiscard]] constexpr ValueId kv_of(const BackwardColumn& column) { return column.kv; }

/// The accumulator of a row or column of either pass; kNone for a column of the forward pass.
[[nodiscard]] constexpr ValueId accumulator_of(const AttendRow& row) { return row.o; }
[[nodiscard]] constexpr ValueId accumulator_of(const BackwardRow& row) { return row.dq; }
[[nodiscard]] constexpr ValueId accumulator_of(ValueId) { return kNone; }
[[nodiscard]] constexpr ValueId accumulator_of(const BackwardColumn& column) { return column.dkv; }

/// Calls read(value) for every value on `rank` that the op reads, all or a part of it, and make(value) for every value
/// there that it makes or contributes to.
template <typename Read, typename Make>
void for_each_operand(const Schedule& s, const Op& op, Rank rank, Read&& read, Make&& make) {
  if (const auto* x = std::get_if<Exchange>(&op)) {
    for (TransferId t : s.transfers_of(*x)) {
      const Transfer& transfer = s.transfers[t];
      if (s.values[transfer.source].rank == rank) read(transfer.source);
      if (s.values[transfer.made].rank == rank) make(transfer.made);
    }
  } else if (const auto* a = std::get_if<Attend>(&op)) {
    for (const AttendRow& row : s.rows_of(*a)) read(row.q), make(row.o);
    for (ValueId kv : s.columns_of(*a)) read(kv);
  } else if (const auto* b = std::get_if<AttendBackward>(&op)) {
    for (const BackwardRow& row : s.rows_of(*b)) read(row.q), read(row.d_o), read(row.delta), make(row.dq);
    for (const BackwardColumn& column : s.columns_of(*b)) read(column.kv), make(column.dkv);
  } else if (const auto* c = std::get_if<Combine>(&op)) {
    for (ValueId source : s.sources_of(*c)) read(source);
    make(c->made);
  } else if (const auto* d = std::get_if<Delta>(&op)) {
    read(d->o), read(d->d_o), make(d->made);
  }
}

}  // namespace meshattn
