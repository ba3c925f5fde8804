using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// A Llama in plain loops and double precision, one token at a time, over weights decoded to floats: written as the papers say, for tests
/// to compare with, and sharing nothing with the program but the file reader and the block decoder.
/// </summary>
sealed class ReferenceModel
{
    readonly LlamaConfig _config;
    readonly Dictionary<string, (float[] Values, int Columns)> _tensors = [];
    readonly List<double[]>[] _keys;
    readonly List<double[]>[] _values;
    readonly HashSet<string> _halves = [];

    public ReferenceModel(IModelWeights weights)
    {
        _config = weights.Config;
        foreach (var tensor in weights.Tensors)
        {
            var values = new float[tensor.Rows * tensor.Columns];
            var stored = new byte[tensor.RowBytes];
            for (var row = 0; row < tensor.Rows; row++)
            {
                weights.ReadRows(tensor, row, stored);
                RowDecoder.Decode(tensor.Type, stored, values.AsSpan((int)(row * tensor.Columns), (int)tensor.Columns));
            }
            _tensors.Add(tensor.Name, (values, (int)tensor.Columns));
            if (tensor.Type is TensorType.F16) _halves.Add(tensor.Name);
        }
        _keys = [.. Enumerable.Range(0, _config.LayerCount).Select(_ => new List<double[]>())];
        _values = [.. Enumerable.Range(0, _config.LayerCount).Select(_ => new List<double[]>())];
    }

    /// <summary>What is multiplied with weights of halves is rounded to halves before, as llama.cpp does.</summary>
    public bool RoundsActivations { get; init; }

    /// <summary>Values are kept as halves, as llama.cpp keeps them unless told otherwise; keys are not.</summary>
    public bool RoundsValues { get; init; }

    /// <summary>Takes in the next token, and gives the logits [V] after it.</summary>
    public double[] Next(int token)
    {
        var x = Row("token_embd.weight", token);
        for (var layer = 0; layer < _config.LayerCount; layer++)
        {
            string Name(string part) => $"blk.{layer}.{part}.weight";

            if (_tensors.ContainsKey(Name("attn_q"))) Attend();
            else if (_tensors.ContainsKey(Name("attn_output"))) x = Sum(x, Product(Name("attn_output"), Norm(x, Name("attn_norm"))));
            if (!_tensors.ContainsKey(Name("ffn_norm"))) continue;
            var normed = Norm(x, Name("ffn_norm"));
            x = Sum(x, _tensors.ContainsKey(Name("ffn_gate_inp")) ? Experts(layer, normed) : FeedForward(layer, "", normed));

            void Attend()
            {
                var h = Norm(x, Name("attn_norm"));
                var q = Biased(Name("attn_q"), h);
                var k = Biased(Name("attn_k"), h);
                var v = Biased(Name("attn_v"), h);
                var position = _keys[layer].Count;
                if (!SeesAll(layer))
                {
                    Rotate(q, position);
                    Rotate(k, position);
                    if (_config.NormsHeads) (q, k) = (NormHeads(q), NormHeads(k));
                }
                if (_config.QueryScale is { } scale && (_config.Chunks is null || SeesAll(layer)))
                {
                    var factor = 1 + (scale.Growth * Math.Log(1 + Math.Floor((position + (double)scale.Offset) / scale.Span)));
                    q = [.. q.Select(number => number * factor)];
                }
                _keys[layer].Add(k);
                _values[layer].Add(RoundsValues ? [.. v.Select(number => (double)(Half)number)] : v);
                x = Sum(x, Biased(Name("attn_output"), Attention(q, layer)));
            }
        }
        return Product(_tensors.ContainsKey("output.weight") ? "output.weight" : "token_embd.weight", Norm(x, "output_norm.weight"));
    }

    /// <summary>Every so many layers one sees all positions and is not rotated, if the others see chunks.</summary>
    bool SeesAll(int layer) => _config.Chunks is { } chunks && (layer + 1) % chunks.FullLayerStep == 0;

    double[] FeedForward(int layer, string expert, double[] h)
    {
        var gate = Product($"blk.{layer}.ffn_gate{expert}.weight", h);
        var up = Product($"blk.{layer}.ffn_up{expert}.weight", h);
        return Product($"blk.{layer}.ffn_down{expert}.weight", [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)]);
    }

    double[] Experts(int layer, double[] h)
    {
        var experts = _config.Experts!;
        var chosen = Product($"blk.{layer}.ffn_gate_inp.weight", h).Index().OrderByDescending(e => e.Item).Take(experts.UsedCount).ToArray();
        var y = experts.HasShared ? FeedForward(layer, "_shexp", h) : new double[h.Length];
        if (experts.Gate is ExpertGate.Sigmoid)
        {
            foreach (var (expert, logit) in chosen) y = Sum(y, FeedForward(layer, $".{expert}", [.. h.Select(number => number / (1 + Math.Exp(-logit)))]));
            return y;
        }
        var sum = chosen.Sum(e => Math.Exp(e.Item));
        foreach (var (expert, logit) in chosen) y = Sum(y, [.. FeedForward(layer, $".{expert}", h).Select(number => number * Math.Exp(logit) / sum)]);
        return y;
    }

    double[] NormHeads(double[] heads) =>
    [
        .. heads.Chunk(_config.HeadSize).SelectMany(head =>
        {
            var scale = 1 / Math.Sqrt((head.Sum(v => v * v) / head.Length) + _config.RmsEpsilon);
            return head.Select(v => v * scale);
        }),
    ];

    public static double[] LogSoftmax(double[] logits)
    {
        var max = logits.Max();
        var sum = max + Math.Log(logits.Sum(l => Math.Exp(l - max)));
        return [.. logits.Select(l => l - sum)];
    }

    double[] Row(string name, int row)
    {
        var (values, columns) = _tensors[name];
        return [.. values.AsSpan(row * columns, columns).ToArray().Select(v => (double)v)];
    }

    double[] Product(string name, double[] input)
    {
        var (values, columns) = _tensors[name];
        var y = new double[values.Length / columns];
        if (RoundsActivations && _halves.Contains(name)) input = [.. input.Select(number => (double)(Half)number)];
        for (var r = 0; r < y.Length; r++)
            for (var c = 0; c < columns; c++) y[r] += values[(r * columns) + c] * input[c];
        return y;
    }

    double[] Biased(string name, double[] input)
    {
        var y = Product(name, input);
        return _tensors.TryGetValue(name.Replace(".weight", ".bias"), out var bias) ? Sum(y, [.. bias.Values.Select(number => (double)number)]) : y;
    }

    double[] Norm(double[] x, string name)
    {
        var weight = _tensors[name].Values;
        var scale = 1 / Math.Sqrt((x.Sum(v => v * v) / x.Length) + _config.RmsEpsilon);
        return [.. x.Select((v, i) => v * scale * weight[i])];
    }

    double[] Attention(double[] q, int layer)
    {
        var size = _config.HeadSize;
        var output = new double[q.Length];
        var (heads, kvHeads) = (q.Length / size, _keys[layer][0].Length / size);
        for (var head = 0; head < heads; head++)
        {
            var kvHead = head / (heads / kvHeads);
            Attend(q, output, head * size, kvHead * size, layer);
        }
        return output;
    }

    void Attend(double[] q, double[] output, int at, int kvAt, int layer)
    {
        var size = _config.HeadSize;
        var weights = new double[_keys[layer].Count];
        var first = _config.Chunks is { } chunks && !SeesAll(layer) ? (weights.Length - 1) / chunks.ChunkSize * chunks.ChunkSize
            : _config.Window is { } window ? Math.Max(0, weights.Length - window)
            : 0;
        for (var p = 0; p < weights.Length; p++)
            for (var e = 0; e < size; e++) weights[p] += q[at + e] * _keys[layer][p][kvAt + e] / Math.Sqrt(size);
        Array.Fill(weights, double.NegativeInfinity, 0, first);
        var max = weights.Max();
        for (var p = 0; p < weights.Length; p++) weights[p] = Math.Exp(weights[p] - max);
        var sum = weights.Sum();
        for (var p = 0; p < weights.Length; p++)
            for (var e = 0; e < size; e++) output[at + e] += weights[p] / sum * _values[layer][p][kvAt + e];
    }

    void Rotate(double[] heads, int position)
    {
        for (var head = 0; head < heads.Length; head += _config.HeadSize)
            for (var i = 0; i < _config.RopeDimensionCount / 2; i++)
            {
                var (sin, cos) = Math.SinCos(position * Frequency(i));
                if (_config.RopeScaling is RopeScaling.Yarn yarn) (sin, cos) = (sin * yarn.Magnitude, cos * yarn.Magnitude);
                var (a, b) = (heads[head + (2 * i)], heads[head + (2 * i) + 1]);
                heads[head + (2 * i)] = (a * cos) - (b * sin);
                heads[head + (2 * i) + 1] = (b * cos) + (a * sin);
            }
    }

    double Frequency(int i)
    {
        var frequency = Math.Pow(_config.RopeTheta, -2.0 * i / _config.RopeDimensionCount);
        switch (_config.RopeScaling)
        {
            case RopeScaling.Linear linear:
                return frequency / linear.Factor;
            case RopeScaling.Factors factors:
                return frequency / factors.Divisors[i];
            case RopeScaling.Llama3 scaling:
                // As the Llama 3.1 model card's code has it.
                var turns = scaling.OriginalContextLength * frequency / (2 * Math.PI);
                if (turns < scaling.LowFrequencyFactor) return frequency / scaling.Factor;
                if (turns > scaling.HighFrequencyFactor) return frequency;
                var smooth = (turns - scaling.LowFrequencyFactor) / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor);
                return ((1 - smooth) * frequency / scaling.Factor) + (smooth * frequency);
            case RopeScaling.Yarn scaling:
                // As the paper has it, with the borders in whole pairs: r is how many turns a pair makes within the original context.
                double PairOf(double r) =>
                    _config.RopeDimensionCount / (2 * Math.Log(_config.RopeTheta)) * Math.Log(scaling.OriginalContextLength / (2 * Math.PI * r));
                var (low, high) =
                    (Math.Max(0, Math.Floor(PairOf(scaling.FastTurns))), Math.Min(_config.RopeDimensionCount - 1, Math.Ceiling(PairOf(scaling.SlowTurns))));
                var kept = 1 - Math.Clamp((i - low) / Math.Max(0.001, high - low), 0, 1);
                return ((1 - kept) * frequency / scaling.Factor) + (kept * frequency);
            default:
                return frequency;
        }
    }

    static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];
}
