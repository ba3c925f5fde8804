using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

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
        }
        _keys = [.. Enumerable.Range(0, _config.LayerCount).Select(_ => new List<double[]>())];
        _values = [.. Enumerable.Range(0, _config.LayerCount).Select(_ => new List<double[]>())];
    }

    /// <summary>Takes in the next token, and gives the logits [V] after it.</summary>
    public double[] Next(int token)
    {
        var x = Row("token_embd.weight", token);
        for (var layer = 0; layer < _config.LayerCount; layer++)
        {
            string Name(string part) => $"blk.{layer}.{part}.weight";

            var h = Norm(x, Name("attn_norm"));
            var q = Product(Name("attn_q"), h);
            var k = Product(Name("attn_k"), h);
            var v = Product(Name("attn_v"), h);
            var position = _keys[layer].Count;
            Rotate(q, position);
            Rotate(k, position);
            _keys[layer].Add(k);
            _values[layer].Add(v);
            x = Sum(x, Product(Name("attn_output"), Attention(q, layer)));

            h = Norm(x, Name("ffn_norm"));
            var gate = Product(Name("ffn_gate"), h);
            var up = Product(Name("ffn_up"), h);
            x = Sum(x, Product(Name("ffn_down"), [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)]));
        }
        return Product(_tensors.ContainsKey("output.weight") ? "output.weight" : "token_embd.weight", Norm(x, "output_norm.weight"));
    }

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
        for (var r = 0; r < y.Length; r++)
            for (var c = 0; c < columns; c++) y[r] += values[(r * columns) + c] * input[c];
        return y;
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
        for (var head = 0; head < _config.HeadCount; head++)
        {
            var kvHead = head / (_config.HeadCount / _config.KvHeadCount);
            Attend(q, output, head * size, kvHead * size, layer);
        }
        return output;
    }

    void Attend(double[] q, double[] output, int at, int kvAt, int layer)
    {
        var size = _config.HeadSize;
        var weights = new double[_keys[layer].Count];
        for (var p = 0; p < weights.Length; p++)
            for (var e = 0; e < size; e++) weights[p] += q[at + e] * _keys[layer][p][kvAt + e] / Math.Sqrt(size);
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
            default:
                return frequency;
        }
    }

    static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];
}
