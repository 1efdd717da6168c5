// Whole networks in one call: forward, backward, and the sparse rows of the Jacobian. Included like layer.hpp.
//
// A row of the Jacobian is not zero at k + 2 parameters an edge: in the order of the parameters these are a few runs of
// neighbours, one an input for the coefficients, one a layer for the base weights. No larger row is ever made.

constexpr Index chunk_rows = 4096;  // rows that go through the network together
constexpr Index sparse_rows = 256;  // rows whose Jacobian is held together

template <class T>
constexpr std::size_t kinds = lanes<T> >= 16 ? 5 : lanes<T> >= 8 ? 4 : lanes<T> >= 4 ? 3 : 2;  // lengths of pieces: 1, 2, 4 ... lanes

template <class T>
struct Pass {
    const Network<T>& network;
    Index batch;
    std::vector<Plan<T>> plans;
    std::vector<T*> inputs, sums;  // of each layer: [batch][in], [batch][out]
    T *outputs, *by_nodes, *by_sums, *spare;

    // One forward pass; weights are kept if backward ones are to come.
    Pass(const Network<T>& network, Index batch, const T* x, Scratch& memory, int threads, bool keep = true)
        : network(network), batch(batch) {
        Index widest_row = 0;
        const T* values = x;
        for (Index l = 0; l < network.depth; ++l) {
            const Layer<T>& layer = network.layers[l];
            widest_row = std::max({widest_row, layer.in, layer.out, network.outputs(l)});
            plans.emplace_back(batch);
            if (keep) {
                plans[l].place(memory.take<char>(plans[l].bytes(layer.in)), layer.in);
                plans[l].kept = memory.take<T>(plans[l].kept_size(layer));
            }
            inputs.push_back(const_cast<T*>(values));
            sums.push_back(memory.take<T>(batch * layer.out));
            forward(layer, plans[l], values, static_cast<const T*>(nullptr), 0, sums[l], threads);
            values = outputs = combine(l, memory);
        }
        by_nodes = memory.take<T>(batch * widest_row);
        by_sums = memory.take<T>(batch * widest_row);
        spare = memory.take<T>(batch * widest_row);
    }

    // Values of the nodes behind layer l.
    T* combine(Index l, Scratch& memory) {
        const Nodes nodes = network.nodes[l];
        if (nodes.products == 0) return sums[l];
        const Index from = network.layers[l].out, to = network.outputs(l);
        T* const values = memory.take<T>(batch * to);
        for (Index n = 0; n < batch; ++n) {
            const T* factor = sums[l] + n * from + nodes.sums;
            std::copy_n(sums[l] + n * from, nodes.sums, values + n * to);
            for (Index p = 0; p < nodes.products; ++p, factor += network.arity) {
                T product = factor[0];
                for (Index r = 1; r < network.arity; ++r) product *= factor[r];
                values[n * to + nodes.sums + p] = product;
            }
        }
        return values;
    }

    // by_sums of layer l from by_nodes behind it.
    const T* to_sums(Index l) {
        const Nodes nodes = network.nodes[l];
        if (nodes.products == 0) return by_nodes;
        const Index to = network.layers[l].out, from = network.outputs(l), arity = network.arity;
        for (Index n = 0; n < batch; ++n) {
            const T* const row = by_nodes + n * from;
            std::copy_n(row, nodes.sums, by_sums + n * to);
            for (Index p = 0; p < nodes.products; ++p) {
                const T* const factor = sums[l] + n * to + nodes.sums + p * arity;
                for (Index r = 0; r < arity; ++r) {  // the product of all factors but one, without dividing by it
                    T others = row[nodes.sums + p];
                    for (Index q = 0; q < arity; ++q)
                        if (q != r) others *= factor[q];
                    by_sums[n * to + nodes.sums + p * arity + r] = others;
                }
            }
        }
        return by_sums;
    }
};

template <class T>
void outputs(const Network<T>& network, Index batch, const T* x, T* found, T* sums, int threads) {
    const Index out = network.outputs(network.depth - 1), in = network.layers[0].in;
    for (Index start = 0; start < batch; start += chunk_rows) {
        Scratch& memory = scratch<2>();
        const Pass<T> pass(network, std::min(chunk_rows, batch - start), x + start * in, memory, threads, false);
        if (!sums) {
            std::copy_n(pass.outputs, pass.batch * out, found + start * out);
            continue;
        }
        T* to = sums;
        for (Index l = 0; l < network.depth; to += batch * network.layers[l++].out)
            std::copy_n(pass.sums[l], pass.batch * network.layers[l].out, to + start * network.layers[l].out);
    }
}

template <class T>
double loss(const Network<T>& network, Index batch, const T* x, const T* y, T* gradient, int threads) {
    const Index size = network.parameters(), out = network.outputs(network.depth - 1), in = network.layers[0].in;
    if (gradient) std::fill_n(gradient, size, T(0));
    double total = 0;
    for (Index start = 0; start < batch; start += chunk_rows) {
        Scratch& memory = scratch<2>();
        const Index rows = std::min(chunk_rows, batch - start);
        Pass<T> pass(network, rows, x + start * in, memory, threads, gradient != nullptr);
        const T* const target = y + start * out;
        for (Index n = 0; n < rows * out; ++n) {
            const T residual = pass.outputs[n] - target[n];
            total += double(residual) * double(residual);
            pass.by_nodes[n] = residual * (T(2) / T(batch * out));
        }
        if (!gradient) continue;
        T* const part = start == 0 ? gradient : memory.take<T>(size);
        T* at = part + size;
        for (Index l = network.depth - 1; l >= 0; --l) {
            const Layer<T>& layer = network.layers[l];
            at -= network.size(l);
            const T* const by_sums = pass.to_sums(l);
            backward(layer, pass.plans[l], static_cast<const T*>(nullptr), 0, by_sums,
                     Gradients<T>{l ? pass.spare : nullptr, nullptr, at, at + layer.in * (layer.grid + layer.k) * layer.out}, threads);
            std::swap(pass.by_nodes, pass.spare);
        }
        if (part != gradient)
            for (Index p = 0; p < size; ++p) gradient[p] += part[p];
    }
    return total / double(batch * out);
}

// The rows of the Jacobian of some samples, for one output after another.
template <class T>
class SparseRows {
    Pass<T>& pass;
    std::vector<T*> weights;           // of each layer: [batch][in][k + 2], the functions that are not zero and the base
    std::vector<std::int32_t*> first;  // of each layer: [batch][in], number of the first function
    std::vector<T*> sensitivity;       // of each layer: [batch][out], derivatives of the present output by its sums
    std::vector<Index> run;            // numbers of the runs' first pieces, one an input and one a layer

  public:
    // One row, cut into pieces whose lengths are powers of two, so that no store covers more than what it changes: a load
    // that follows a store it half overlaps waits for it. `kind` is the logarithm of a piece's length.
    struct Piece {
        Index parameter, value;  // where it begins among the parameters and among the values
        int kind;
        std::array<Index, kinds<T>> from;  // the first of each kind that is not before it
    };
    std::vector<Piece> pieces;
    std::array<std::vector<Index>, kinds<T>> of_kind;
    std::vector<T> values;

    SparseRows(Pass<T>& pass, Scratch& memory) : pass(pass) {
        Index value = 0;
        const auto add_run = [&](Index at, Index length) {
            run.push_back(Index(pieces.size()));
            for (int kind = kinds<T> - 1; length > 0; --kind)
                for (const Index size = Index(1) << kind; length >= size; length -= size, at += size, value += size) {
                    pieces.push_back({at, value, kind, {}});
                    of_kind[std::size_t(kind)].push_back(Index(pieces.size()) - 1);
                }
        };
        for (Index l = 0, at = 0; l < pass.network.depth; at += pass.network.size(l), ++l) {
            const Layer<T>& layer = pass.network.layers[l];
            const Index k = layer.k, functions = layer.grid + k;
            weights.push_back(memory.take<T>(pass.batch * layer.in * (k + 2)));
            first.push_back(memory.take<std::int32_t>(pass.batch * layer.in));
            sensitivity.push_back(memory.take<T>(pass.batch * layer.out));
            for (Index i = 0; i < layer.in; ++i) add_run(at + i * functions * layer.out, (k + 1) * layer.out);
            add_run(at + layer.in * functions * layer.out, layer.in * layer.out);
            arrange(l);
        }
        run.push_back(Index(pieces.size()));
        values.assign(value, T(0));
        for (std::size_t n = 0; n < pieces.size(); ++n)
            for (std::size_t kind = 0; kind < kinds<T>; ++kind)
                pieces[n].from[kind] = std::lower_bound(of_kind[kind].begin(), of_kind[kind].end(), Index(n)) - of_kind[kind].begin();
    }

    // Weights sample by sample, functions that do not exist left out.
    void arrange(Index l) {
        const Layer<T>& layer = pass.network.layers[l];
        const Plan<T>& plan = pass.plans[l];
        const Index k = layer.k, last = layer.grid - 1;
        for (Index i = 0; i < layer.in; ++i) {
            const T* const kept = plan.kept + plan.at(i) * rows_of(What::both, int(k));
            for (Index n = 0; n < pass.batch; ++n) {
                const Index interval = plan.intervals[plan.at(i) + n], number = layer.fade ? interval - k : interval;
                const Index start = std::clamp<Index>(number, 0, last);
                T* const to = weights[l] + (n * layer.in + i) * (k + 2);
                first[l][n * layer.in + i] = std::int32_t(start);
                for (Index r = 0; r <= k; ++r) {
                    const Index from = start + r - number;
                    to[r] = from >= 0 && from <= k ? kept[from * plan.row + n] : T(0);
                }
                to[k + 1] = kept[(k + 1) * plan.row + n];
            }
        }
    }

    // The rows to come are derivatives of output r, or of the r-th of `count` combinations [batch][count][out] of them.
    void choose(Index r, Index count = 0, const T* directions = nullptr) {
        const Index depth = pass.network.depth, out = pass.network.outputs(depth - 1);
        for (Index n = 0; n < pass.batch; ++n)
            for (Index p = 0; p < out; ++p)
                pass.by_nodes[n * out + p] = directions ? directions[(n * count + r) * out + p] : T(p == r);
        for (Index l = depth - 1; l >= 0; --l) {
            const Layer<T>& layer = pass.network.layers[l];
            std::copy_n(pass.to_sums(l), pass.batch * layer.out, sensitivity[l]);
            if (l)
                backward(layer, pass.plans[l], static_cast<const T*>(nullptr), 0, static_cast<const T*>(sensitivity[l]),
                         Gradients<T>{pass.by_nodes, nullptr, nullptr, nullptr}, 1);
        }
    }

    // Make `values` and the places of `pieces` those of sample n.
    void make_row(Index n) {
        auto at = run.begin();
        for (Index l = 0, start = 0; l < pass.network.depth; start += pass.network.size(l), ++l) {
            const Layer<T>& layer = pass.network.layers[l];
            const Index k = layer.k, functions = layer.grid + k;
            const T* const by_sum = sensitivity[l] + n * layer.out;
            T* base = values.data() + pieces[at[layer.in]].value;
            for (Index i = 0; i < layer.in; ++i, ++at) {
                const T* const weight = weights[l] + (n * layer.in + i) * (k + 2);
                const Index from = pieces[*at].value;
                const Index number = start + (i * functions + first[l][n * layer.in + i]) * layer.out;
                for (Index piece = *at; piece < at[1]; ++piece) pieces[piece].parameter = number + pieces[piece].value - from;
                T* to = values.data() + from;
                for (Index r = 0; r <= k; ++r)
                    for (Index o = 0; o < layer.out; ++o) *to++ = weight[r] * by_sum[o];
                for (Index o = 0; o < layer.out; ++o) *base++ = weight[k + 1] * by_sum[o];
            }
            ++at;
        }
    }

    // row[parameter] += factor * value for the pieces that are not before `piece`.
    template <int kind = 0>
    void add_times(const Piece& piece, T factor, T* row) const {
        constexpr int length = 1 << kind;
        typedef T Part __attribute__((vector_size(length * sizeof(T))));
        const std::vector<Index>& mine = of_kind[kind];
        for (Index n = piece.from[kind]; n < Index(mine.size()); ++n) {
            const Piece& other = pieces[mine[n]];
            Part part, sum;
            __builtin_memcpy(&part, values.data() + other.value, sizeof part);
            __builtin_memcpy(&sum, row + other.parameter, sizeof sum);
            sum += factor * part;
            __builtin_memcpy(row + other.parameter, &sum, sizeof sum);
        }
        if constexpr (kind + 1 < int(kinds<T>)) add_times<kind + 1>(piece, factor, row);
    }
};

template <class T>
void jacobian(const Network<T>& network, Index batch, const T* x, T* outputs, T* derivatives) {
    const Index size = network.parameters(), out = network.outputs(network.depth - 1), in = network.layers[0].in;
    std::fill_n(derivatives, batch * out * size, T(0));
    for (Index start = 0; start < batch; start += sparse_rows) {
        Scratch& memory = scratch<2>();
        Pass<T> pass(network, std::min(sparse_rows, batch - start), x + start * in, memory, 1);
        std::copy_n(pass.outputs, pass.batch * out, outputs + start * out);
        SparseRows<T> rows(pass, memory);
        for (Index o = 0; o < out; ++o) {
            rows.choose(o);
            for (Index n = 0; n < pass.batch; ++n) {
                rows.make_row(n);
                T* const row = derivatives + ((start + n) * out + o) * size;
                for (const auto& piece : rows.pieces)
                    std::copy_n(rows.values.data() + piece.value, Index(1) << piece.kind, row + piece.parameter);
            }
        }
    }
}

// Adds the rows of some samples to the upper triangle of `matrix`, whose rows lie `ld` apart.
template <class T>
void add_normal_equations(const Network<T>& network, Index batch, const T* x, Index count, const T* directions,
                          const T* residuals, T* matrix, Index ld, T* vector) {
    const Index out = network.outputs(network.depth - 1), in = network.layers[0].in;
    for (Index start = 0; start < batch; start += sparse_rows) {
        Scratch& memory = scratch<2>();
        Pass<T> pass(network, std::min(sparse_rows, batch - start), x + start * in, memory, 1);
        SparseRows<T> rows(pass, memory);
        for (Index r = 0; r < count; ++r) {
            rows.choose(r, count, directions ? directions + start * count * out : nullptr);
            for (Index n = 0; n < pass.batch; ++n) {
                rows.make_row(n);
                const T residual = residuals[(start + n) * count + r];
                for (const auto& piece : rows.pieces)
                    for (Index e = 0; e < Index(1) << piece.kind; ++e) {
                        const T value = rows.values[piece.value + e];
                        vector[piece.parameter + e] += value * residual;
                        rows.add_times(piece, value, matrix + (piece.parameter + e) * ld);
                    }
            }
        }
    }
}

template <class T>
void normal_equations(const Network<T>& network, Index batch, const T* x, Index count, const T* directions,
                      const T* residuals, T* matrix, T* vector, int threads) {
    const Index size = network.parameters(), ld = round_up(size, lanes<T>);
    const Index out = network.outputs(network.depth - 1), in = network.layers[0].in;
    const int parts = int(std::clamp<Index>(batch / sparse_rows, 1, threads));
    T* const sums = scratch<3>().template take<T>(parts * (size + 1) * ld);
    run_together(parts, parts, [&](int n) {
        const Index from = batch * n / parts, to = batch * (n + 1) / parts;
        T* const mine = sums + n * (size + 1) * ld;
        std::fill_n(mine, (size + 1) * ld, T(0));
        add_normal_equations(network, to - from, x + from * in, count, directions ? directions + from * count * out : nullptr,
                             residuals + from * count, mine, ld, mine + size * ld);
    });
    for (Index p = 0; p < size; ++p) {
        for (Index q = p; q < size; ++q) {
            T total = sums[p * ld + q];
            for (Index n = 1; n < parts; ++n) total += sums[(n * (size + 1) + p) * ld + q];
            matrix[p * size + q] = matrix[q * size + p] = total;
        }
        T total = sums[size * ld + p];
        for (Index n = 1; n < parts; ++n) total += sums[(n * (size + 1) + size) * ld + p];
        vector[p] = total;
    }
}
