using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// Which experts the rows of a step use, gathered by expert: the K of each row whose router numbers are greatest, of equal ones the first. A row's
/// choice and weights depend on its own numbers alone. N experts, K used. Reused from step to step; allocates nothing.
/// </summary>
sealed class ExpertRouting
{
    readonly ExpertMixture _experts;

    /// <summary>[B, K], of each row in the order of choice.</summary>
    readonly int[] _chosen;
    readonly float[] _weights;

    /// <summary>[N + 1] where each expert's rows begin in the two lists below.</summary>
    readonly int[] _starts;

    /// <summary>[B * K] rows by expert, in ascending order within each.</summary>
    readonly int[] _rows;
    readonly float[] _rowWeights;
    readonly float[] _ones;

    public ExpertRouting(ExpertMixture experts, int maxRows)
    {
        _experts = experts;
        var choices = checked(maxRows * experts.UsedCount);
        (_chosen, _weights, _rows, _rowWeights) = (new int[choices], new float[choices], new int[choices], new float[choices]);
        _starts = new int[experts.Count + 1];
        _ones = new float[maxRows];
        Array.Fill(_ones, 1);
    }

    /// <param name="logits">[B, N] the router's numbers.</param>
    public void Set(ReadOnlySpan<float> logits, int rows)
    {
        var (count, used) = (_experts.Count, _experts.UsedCount);
        for (var row = 0; row < rows; row++)
            Choose(logits.Slice(row * count, count), _chosen.AsSpan(row * used, used), _weights.AsSpan(row * used, used));
        Gather(rows * used);
    }

    /// <summary>The rows that use an expert.</summary>
    public ReadOnlySpan<int> RowsOf(int expert) => _rows.AsSpan(_starts[expert].._starts[expert + 1]);

    /// <summary>What each of those is multiplied by before the expert.</summary>
    public ReadOnlySpan<float> InputFactors(int expert) => _experts.Gate is ExpertGate.Sigmoid ? WeightsOf(expert) : Ones(expert);

    /// <summary>What the expert's output for each of those is multiplied by.</summary>
    public ReadOnlySpan<float> OutputFactors(int expert) => _experts.Gate is ExpertGate.Sigmoid ? Ones(expert) : WeightsOf(expert);

    ReadOnlySpan<float> WeightsOf(int expert) => _rowWeights.AsSpan(_starts[expert].._starts[expert + 1]);

    ReadOnlySpan<float> Ones(int expert) => _ones.AsSpan(0, _starts[expert + 1] - _starts[expert]);

    void Choose(ReadOnlySpan<float> logits, Span<int> chosen, Span<float> weights)
    {
        for (var k = 0; k < chosen.Length; k++)
        {
            var best = -1;
            for (var expert = 0; expert < logits.Length; expert++)
                if ((best < 0 || logits[expert] > logits[best]) && !chosen[..k].Contains(expert)) best = expert;
            chosen[k] = best;
        }
        if (_experts.Gate is ExpertGate.Sigmoid)
            for (var k = 0; k < chosen.Length; k++) weights[k] = (float)(1 / (1 + Math.Exp(-(double)logits[chosen[k]])));
        else Softmax(logits, chosen, weights);
    }

    /// <summary>Over the chosen ones. In double precision, whose rounding to floats is the same on every machine.</summary>
    static void Softmax(ReadOnlySpan<float> logits, ReadOnlySpan<int> chosen, Span<float> weights)
    {
        var sum = 0.0;
        foreach (var expert in chosen) sum += Math.Exp((double)logits[expert] - logits[chosen[0]]);
        for (var k = 0; k < chosen.Length; k++) weights[k] = (float)(Math.Exp((double)logits[chosen[k]] - logits[chosen[0]]) / sum);
    }

    /// <summary>A counting sort of the choices by expert.</summary>
    void Gather(int choices)
    {
        Array.Clear(_starts);
        foreach (var expert in _chosen.AsSpan(0, choices)) _starts[expert + 1]++;
        for (var expert = 0; expert < _experts.Count; expert++) _starts[expert + 1] += _starts[expert];
        // Every start moves to its end, which is the next one's start.
        for (var choice = 0; choice < choices; choice++)
        {
            var at = _starts[_chosen[choice]]++;
            (_rows[at], _rowWeights[at]) = (choice / _experts.UsedCount, _weights[choice]);
        }
        Array.Copy(_starts, 0, _starts, 1, _experts.Count);
        _starts[0] = 0;
    }
}
