namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>xorshift64*, so that a seed means the same on every machine and runtime.</summary>
sealed class SeededRandom(ulong seed)
{
    ulong _state = seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D;

    public ulong Next()
    {
        _state ^= _state >> 12;
        _state ^= _state << 25;
        _state ^= _state >> 27;
        return _state * 0x2545F4914F6CDD1D;
    }

    /// <summary>0 to <paramref name="count"/> - 1.</summary>
    public int Below(int count) => count <= 1 ? 0 : (int)((Next() >> 32) * (ulong)count >> 32);

    public int Between(int least, int most) => least + Below(most - least + 1);

    public bool Chance(double probability) => (Next() >> 11) * (1.0 / (1UL << 53)) < probability;

    public T Of<T>(params ReadOnlySpan<T> values) => values[Below(values.Length)];

    /// <summary>Mostly near <paramref name="least"/>, at times up to <paramref name="most"/>, evenly over the powers between.</summary>
    public TimeSpan Time(TimeSpan least, TimeSpan most)
    {
        var share = (Next() >> 11) * (1.0 / (1UL << 53));
        return TimeSpan.FromSeconds(least.TotalSeconds * Math.Pow(most.TotalSeconds / least.TotalSeconds, share));
    }
}
