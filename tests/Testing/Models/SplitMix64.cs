namespace LlamaCluster.Testing.Models;

/// <summary>A random sequence that is the same on every machine and runtime (https://prng.di.unimi.it/splitmix64.c).</summary>
public struct SplitMix64(ulong state)
{
    public ulong Next()
    {
        state += 0x9e3779b97f4a7c15;
        var z = state;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    /// <summary>From 0 to <paramref name="limit"/> - 1.</summary>
    public int Next(int limit) => (int)(Next() % (ulong)limit);

    /// <summary>Evenly spread in [-1, 1).</summary>
    public float NextSigned() => (int)(Next() >> 40) / (float)(1 << 23) - 1;
}
