namespace LlamaCluster.Model.Formats.RandomNumbers;

/// <summary>Random numbers that are the same on every machine and runtime (SplitMix64, https://prng.di.unimi.it/splitmix64.c).</summary>
public sealed class RandomSequence(ulong seed)
{
    const ulong Step = 0x9e3779b97f4a7c15;

    ulong _state = seed;

    public ulong Next() => Mix(_state += Step);

    /// <summary>From 0 to <paramref name="limit"/> - 1.</summary>
    public int Next(int limit) => (int)(Next() % (ulong)limit);

    /// <summary>Evenly spread in [-1, 1).</summary>
    public float NextSigned() => (int)(Next() >> 40) / (float)(1 << 23) - 1;

    /// <summary>Spreads the bits of a number over all 64.</summary>
    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
}
