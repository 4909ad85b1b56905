#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "core/problem/problem.h"
#include "core/schedule/region.h"

namespace meshattn {

/// Index into Schedule::values. A value is made from values with smaller ids only.
using ValueId = std::uint32_t;
/// Index into Schedule::transfers.
using TransferId = std::uint32_t;
/// Index into Schedule::ops, and into every Trace.
using OpId = std::uint32_t;
/// A sequence of ops of one rank: 0 computes, the others communicate.
using Lane = std::uint8_t;

inline constexpr Lane kComputeLane = 0;
inline constexpr std::uint32_t kNone = UINT32_MAX;

/// What a value holds. K and V always live and travel as one.
enum class Tensor : std::uint8_t {
  kQ,
  kKV,
  kO,      ///< output, or a partial of it, with one fp32 log-sum-exp a row and head
  kDO,     ///< gradient of the output
  kDelta,  ///< per row and head, fp32: rowsum(dO∘O), and the log-sum-exp that travels with it
  kDQ,
  kDKV,
};

[[nodiscard]] std::string_view name_of(Tensor tensor);

/// @throws InvalidInput naming what was given and the possible names.
[[nodiscard]] Tensor parse_tensor(std::string_view name);

/// True for O, dQ and dKV: values that are summed up from blocks; every (cell, head) of one is read once, or all of it
/// is handed out.
[[nodiscard]] constexpr bool is_partial(Tensor t) { return t == Tensor::kO || t == Tensor::kDQ || t == Tensor::kDKV; }

/// True for tensors cut along the keys (KV, dKV); the others are cut along the queries.
[[nodiscard]] constexpr bool on_kv_side(Tensor t) { return t == Tensor::kKV || t == Tensor::kDKV; }

/// Data in single-assignment form: lives on one rank, is made once.
struct Value {
  Rank rank;
  RegionId region;
  Tensor tensor;
  Dtype dtype;

  friend bool operator==(const Value&, const Value&) = default;
};

/// A value sent: `made`, on another rank, is a copy of `source` or of a part of it: of some of its cells and heads. One
/// SimGrid comm; one ncclSend with its ncclRecv.
struct Transfer {
  ValueId source;
  ValueId made;
  Lane lane;

  friend bool operator==(const Transfer&, const Transfer&) = default;
};

/// A query value and the accumulator that its blocks contribute to.
struct AttendRow {
  ValueId q;
  ValueId o;

  friend bool operator==(const AttendRow&, const AttendRow&) = default;
};

/// What a row brings to the backward pass, and the accumulator of its dQ.
struct BackwardRow {
  ValueId q;
  ValueId d_o;
  ValueId delta;
  ValueId dq;

  friend bool operator==(const BackwardRow&, const BackwardRow&) = default;
};

/// A key/value value and the accumulator of its dKV.
struct BackwardColumn {
  ValueId kv;
  ValueId dkv;

  friend bool operator==(const BackwardColumn&, const BackwardColumn&) = default;
};

/// An op reads of each operand the part that its result asks for: so slices of heads and parts of gathered chunks cost
/// no op, and a sum may be read by several readers, a part each.

/// Attends the blocks of rows × columns that the mask leaves; each contributes to its row's accumulator. A row attends
/// the cells of its q, with the heads of its accumulator: q and, by group, every column must have these heads, and the
/// accumulator every cell of which the mask leaves something. Rows may share an accumulator.
/// Indices into Schedule::rows and Schedule::columns, so that neighbouring rectangles share their lists.
struct Attend {
  std::uint32_t first_row;
  std::uint32_t first_column;
  std::uint16_t row_count;
  std::uint16_t column_count;
};

/// The backward of Attend: each block contributes to dQ of its row and to dKV of its column. A row has the heads of its
/// dq: q, dO, delta and, by group, every kv and dkv of the op must have them. dO, delta and dq must have every cell of
/// q of which the mask leaves something, and dkv every such cell of its kv. Rows may share a dq, columns a dkv.
struct AttendBackward {
  std::uint32_t first_row;
  std::uint32_t first_column;
  std::uint16_t row_count;
  std::uint16_t column_count;
};

/// delta = rowsum(dO∘O) of the complete O, with O's log-sum-exp, for the cells and heads of `made`; o and dO have them.
struct Delta {
  ValueId o;
  ValueId d_o;
  ValueId made;
};

/// Merges partials into one (log-sum-exp merge for O, sum for gradients), in listed order. Reads of each source what it
/// has in common with `made`, which must not be nothing; `made` has nothing that no source has. The result may have
/// another dtype: this is also the cast.
struct Combine {
  std::uint32_t first_source;
  std::uint32_t source_count;
  ValueId made;
};

/// The transfers that one rank issues together (one NCCL group): those it sends and those it receives.
struct Exchange {
  std::uint32_t first;
  std::uint32_t count;
};

/// One step of one rank.
using Op = std::variant<Attend, AttendBackward, Delta, Combine, Exchange>;

/// "attend", "exchange" and so on.
[[nodiscard]] std::string_view name_of(const Op& op);

/// `op` may touch its bytes only after `after`, an earlier op of the same rank, has ended.
struct ReuseWait {
  OpId op;
  OpId after;

  friend bool operator==(const ReuseWait&, const ReuseWait&) = default;
};

/// What every rank does, and what waits for what. Ops of one lane run in listed order; an op also waits for the values
/// that it reads and for its reuse waits; nothing else. Never names a link, a stream or a second: how long an op takes
/// is the executor's business. Plain data: `verify` proves that it makes sense.
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

  /// Ascending: there from the start. Owned values; for a backward pass Q, KV, O and delta may also be residents: parts
  /// of others' chunks that the forward pass left on the rank. No schedule can prove that it did.
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;  ///< ascending: the owners' complete O, or dQ and dKV

  std::vector<ReuseWait> waits;       ///< by op; written by `assign_memory`
  std::vector<std::uint64_t> offset;  ///< of each value in its rank's arena, bytes; empty before `assign_memory`
  std::uint64_t peak_bytes = 0;       ///< size of the largest arena

  [[nodiscard]] OpId ops_begin(Rank r) const { return first_op[static_cast<std::size_t>(r)]; }
  [[nodiscard]] OpId ops_end(Rank r) const { return first_op[static_cast<std::size_t>(r) + 1]; }
  [[nodiscard]] Rank rank_of(OpId op) const;

  [[nodiscard]] Region region(ValueId v) const { return regions[values[v].region]; }
  /// The lane that an op runs on.
  [[nodiscard]] Lane lane(const Op& op) const;
  /// Lanes in use: 1 + the highest.
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
  /// Those of them that are in `part`.
  [[nodiscard]] std::uint64_t rows_in(ValueId v, const Region& part) const;
  /// Bytes of a value, its log-sum-exp or delta included.
  [[nodiscard]] std::uint64_t bytes(ValueId v) const;
  /// Bytes of the rows of a value that are in `part`.
  [[nodiscard]] std::uint64_t bytes(ValueId v, const Region& part) const;
  /// Bytes without log-sum-exp and delta: what is counted as chunks.
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

/// Calls read(value) for what the op reads on `rank`, all of it or a part, and make(value) for what it makes there or
/// contributes to.
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
