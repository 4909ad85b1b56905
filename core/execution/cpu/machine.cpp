#include "core/execution/cpu/machine.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "core/execution/cpu/layer.h"

namespace meshattn::cpu {

namespace {

void check_size(const std::vector<double>* tensor, std::size_t size, Tensor name) {
  if (tensor != nullptr && tensor->size() != size)
    throw InvalidInput(
        fmt::format("{} is given with {} numbers where its shape has {}", name_of(name), tensor->size(), size));
}

}  // namespace

template <typename T>
Machine<T>::Machine(const Schedule& schedule, const Tensors& given)
    : s_(schedule),
      arenas_(static_cast<std::size_t>(schedule.problem.ranks)),
      first_maker_(schedule.values.size(), kNone) {
  std::vector<std::uint64_t> size(arenas_.size());
  for (ValueId v = 0; v < s_.values.size(); ++v) {
    std::uint64_t& of_rank = size[static_cast<std::size_t>(s_.values[v].rank)];
    of_rank = std::max(of_rank, s_.offset[v] + s_.bytes(v));
  }
  for (std::size_t r = 0; r < arenas_.size(); ++r)
    arenas_[r].assign(static_cast<std::size_t>(size[r] / kBytesPerNumber), std::numeric_limits<T>::quiet_NaN());
  for (Rank r = 0; r < s_.problem.ranks; ++r)
    for (OpId op = s_.ops_begin(r); op < s_.ops_end(r); ++op)
      for_each_operand(
          s_, s_.ops[op], r, [](ValueId) {}, [&](ValueId v) { first_maker_[v] = std::min(first_maker_[v], op); });
  for (ValueId v : s_.inputs) load(v, given);
}

template <typename T>
void Machine<T>::load(ValueId v, const Tensors& given) {
  const View<T> to = view(v);
  const auto from = parts_of(given, to.tensor());
  const AttentionShape& shape = s_.problem.shape;
  const bool kv = on_kv_side(to.tensor());
  const auto d = static_cast<std::size_t>(shape.head_dim);
  check_size(from.rows, rows_of_layer(shape, kv) * d, to.tensor());
  check_size(from.v_rows, rows_of_layer(shape, kv) * d, to.tensor());
  check_size(from.lse, rows_of_layer(shape, kv), to.tensor());
  to.for_each_row([&](Cell cell, const CellView<T>& rows, int b, std::int64_t i, int h) {
    const std::size_t row = row_in_layer(shape, kv, to.run(cell), b, i, h);
    for (std::size_t c = 0; c < d; ++c) {
      rows.row(b, i, h)[c] = static_cast<T>((*from.rows)[row * d + c]);
      if (from.v_rows != nullptr) rows.v_row(b, i, h)[c] = static_cast<T>((*from.v_rows)[row * d + c]);
    }
    if (from.lse != nullptr) rows.lse(b, i, h) = static_cast<T>((*from.lse)[row]);
  });
}

template <typename T>
void Machine<T>::store(ValueId v, Tensors& to) {
  const View<T> from = view(v);
  const auto parts = parts_of(to, from.tensor());
  const AttentionShape& shape = s_.problem.shape;
  const bool kv = on_kv_side(from.tensor());
  const auto d = static_cast<std::size_t>(shape.head_dim);
  const auto prepare = [&](std::vector<double>* part, std::size_t size) {
    if (part != nullptr && part->empty()) part->assign(size, std::numeric_limits<double>::quiet_NaN());
  };
  prepare(parts.rows, rows_of_layer(shape, kv) * d);
  prepare(parts.v_rows, rows_of_layer(shape, kv) * d);
  prepare(parts.lse, rows_of_layer(shape, kv));
  from.for_each_row([&](Cell cell, const CellView<T>& rows, int b, std::int64_t i, int h) {
    const std::size_t row = row_in_layer(shape, kv, from.run(cell), b, i, h);
    for (std::size_t c = 0; c < d; ++c) {
      (*parts.rows)[row * d + c] = rows.row(b, i, h)[c];
      if (parts.v_rows != nullptr) (*parts.v_rows)[row * d + c] = rows.v_row(b, i, h)[c];
    }
    if (parts.lse != nullptr) (*parts.lse)[row] = rows.lse(b, i, h);
  });
}

template <typename T>
Tensors Machine<T>::outputs() {
  Tensors result;
  for (ValueId v : s_.outputs) store(v, result);
  return result;
}

template <typename T>
void Machine<T>::begin(Rank rank, OpId op) {
  for_each_operand(
      s_, s_.ops[op], rank, [](ValueId) {},
      [&](ValueId v) {
        if (first_maker_[v] != op) return;
        const View<T> made = view(v);
        made.poison();
        if (!std::holds_alternative<Exchange>(s_.ops[op]) && is_partial(made.tensor())) made.clear_sum();
      });
}

template <typename T>
void Machine<T>::compute(OpId op) {
  std::visit([&](const auto& o) { compute(o); }, s_.ops[op]);
}

template <typename T>
void Machine<T>::copy(TransferId t) {
  const View<T> from = view(s_.transfers[t].source);
  const View<T> to = view(s_.transfers[t].made);
  const auto d = static_cast<std::size_t>(s_.problem.shape.head_dim);
  for_each_common_row(from, to, [&](const CellView<T>& x, const CellView<T>& y, int b, std::int64_t i, int h) {
    if (to.tensor() != Tensor::kDelta) std::copy_n(x.row(b, i, h), d, y.row(b, i, h));
    if (to.has_v_rows()) std::copy_n(x.v_row(b, i, h), d, y.v_row(b, i, h));
    if (to.has_lse()) y.lse(b, i, h) = x.lse(b, i, h);
    if (to.tensor() == Tensor::kDelta) y.delta(b, i, h) = x.delta(b, i, h);
  });
}

template <typename T>
void Machine<T>::compute(const Combine& op) {
  const View<T> made = view(op.made);
  const int d = s_.problem.shape.head_dim;
  for (ValueId source : s_.sources_of(op))
    for_each_common_row(view(source), made,
                        [&](const CellView<T>& x, const CellView<T>& y, int b, std::int64_t i, int h) {
                          if (made.has_lse())
                            merge(y.row(b, i, h), y.lse(b, i, h), x.row(b, i, h), x.lse(b, i, h), d);
                          else
                            add(y.row(b, i, h), T{1}, x.row(b, i, h), d);
                          if (made.has_v_rows()) add(y.v_row(b, i, h), T{1}, x.v_row(b, i, h), d);
                        });
}

template <typename T>
void Machine<T>::compute(const Delta& op) {
  const View<T> made = view(op.made), o = view(op.o), d_o = view(op.d_o);
  made.for_each_row([&](Cell cell, const CellView<T>& rows, int b, std::int64_t i, int h) {
    const auto x = o.find(cell), y = d_o.find(cell);
    if (!x || !y) return;
    rows.lse(b, i, h) = x->lse(b, i, h);
    rows.delta(b, i, h) = dot(x->row(b, i, h), y->row(b, i, h), s_.problem.shape.head_dim);
  });
}

template <typename T>
void Machine<T>::compute(const Attend& op) {
  for (const AttendRow& row : s_.rows_of(op))
    for (ValueId kv : s_.columns_of(op)) attend(row, kv);
}

template <typename T>
void Machine<T>::attend(const AttendRow& row, ValueId column) {
  const View<T> q = view(row.q), o = view(row.o), kv = view(column);
  for (Cell i : o.region().cells)
    for (Cell j : kv.region().cells) {
      const BlockShape shape = shape_of(i, j);
      const auto q_cell = q.find(i);
      if (shape.block.kind != Block::Kind::kEmpty && q_cell) attend_block(shape, *q_cell, *kv.find(j), *o.find(i));
    }
}

template <typename T>
void Machine<T>::compute(const AttendBackward& op) {
  for (const BackwardRow& row : s_.rows_of(op))
    for (const BackwardColumn& column : s_.columns_of(op)) attend(row, column);
}

template <typename T>
void Machine<T>::attend(const BackwardRow& row, const BackwardColumn& column) {
  const View<T> q = view(row.q), d_o = view(row.d_o), delta = view(row.delta), dq = view(row.dq);
  const View<T> kv = view(column.kv), dkv = view(column.dkv);
  for (Cell i : dq.region().cells)
    for (Cell j : dkv.region().cells) {
      const BlockShape shape = shape_of(i, j);
      const auto q_cell = q.find(i), d_o_cell = d_o.find(i), delta_cell = delta.find(i), kv_cell = kv.find(j);
      if (shape.block.kind != Block::Kind::kEmpty && q_cell && d_o_cell && delta_cell && kv_cell)
        attend_block_backward(shape, BackwardCells<T>{*q_cell, *d_o_cell, *delta_cell, *dq.find(i)}, *kv_cell,
                              *dkv.find(j));
    }
}

template class Machine<float>;
template class Machine<double>;

}  // namespace meshattn::cpu
