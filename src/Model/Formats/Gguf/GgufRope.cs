using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>RoPE's scaling as GGUF has it: keys <c>ARCHITECTURE.rope.scaling.*</c>, or divisors in a tensor.</summary>
sealed class GgufRope(GgufMetadata metadata, string architecture)
{
    /// <param name="divisors">Content of <c>rope_freqs.weight</c>, if the file has it.</param>
    public RopeScaling? Scaling(IReadOnlyList<float>? divisors)
    {
        var byKeys = ScalingByKeys();
        if (divisors is null) return byKeys;
        if (byKeys is not null) throw metadata.Error(Key("factor"), "is set and rope_freqs.weight is there too; only one of them is supported");
        return new RopeScaling.Factors(divisors);
    }

    /// <summary>What the model was made for before its frequencies were scaled: as long as its context, if the file does not say.</summary>
    public int OriginalContextLength => metadata.TryGetInt32(Key("original_context_length"), out var length) && length > 0
        ? length
        : metadata.GetInt32($"{architecture}.context_length");

    /// <param name="scaling">Null, linear, YaRN's or stored divisors, which are a tensor.</param>
    public static void WriteScaling(GgufPairs pairs, RopeScaling? scaling, string architecture)
    {
        string Key(string name) => $"{architecture}.rope.scaling.{name}";
        switch (scaling)
        {
            case null or RopeScaling.Factors:
                return;
            case RopeScaling.Linear linear:
                pairs.Set(Key("type"), "linear");
                pairs.Set(Key("factor"), linear.Factor);
                return;
            case RopeScaling.Yarn yarn:
                pairs.Set(Key("type"), "yarn");
                pairs.Set(Key("factor"), yarn.Factor);
                pairs.Set(Key("original_context_length"), (uint)yarn.OriginalContextLength);
                pairs.Set(Key("yarn_beta_fast"), yarn.FastTurns);
                pairs.Set(Key("yarn_beta_slow"), yarn.SlowTurns);
                WriteMagnitude(pairs, yarn, Key("attn_factor"));
                return;
            default:
                throw new ArgumentException($"GGUF has no key for RoPE scaling {scaling}: it has divisors in a tensor", nameof(scaling));
        }
    }

    /// <summary>As a factor to the usual one: llama.cpp reads this key for all architectures.</summary>
    static void WriteMagnitude(GgufPairs pairs, RopeScaling.Yarn yarn, string key)
    {
        var usual = RopeScaling.Yarn.MagnitudeOf(yarn.Factor);
        if (yarn.Magnitude == usual) return;
        // The product is to be the same number again.
        var ratio = yarn.Magnitude / usual;
        float[] near = [ratio, MathF.BitIncrement(ratio), MathF.BitDecrement(ratio)];
        pairs.Set(key, Array.Find(near, candidate => usual * candidate == yarn.Magnitude) is var exact and not 0 ? exact : ratio);
    }

    string Key(string name) => $"{architecture}.rope.scaling.{name}";

    // A file that gives a factor but no type means linear scaling, and older files have the factor under another key.
    RopeScaling? ScalingByKeys()
    {
        if (metadata.TryGetString(Key("type"), out var type) && type is not ("linear" or "none" or "yarn"))
            throw metadata.Error(Key("type"), $"is {ErrorText.Quote(type)}, which is not supported; 'none', 'linear' and 'yarn' are");
        if (type is "none") return null;
        var hasFactor = metadata.TryGetSingle(Key("factor"), out var factor) || metadata.TryGetSingle($"{architecture}.rope.scale_linear", out factor);
        if (!hasFactor || factor is 0 or 1) return null;
        return type is "yarn" ? Yarn(factor) : new RopeScaling.Linear(factor);
    }

    RopeScaling.Yarn Yarn(float factor)
    {
        if (metadata.TryGetSingle(Key("yarn_ext_factor"), out var mix) && mix is not (1 or < 0))
            throw metadata.Error(
                Key("yarn_ext_factor"), $"is {mix}, which is not supported; 1 is, the whole of YaRN, or rope.scaling.type 'linear', none of it");
        return new RopeScaling.Yarn(
            factor, OriginalContextLength,
            metadata.TryGetSingle(Key("yarn_beta_fast"), out var fast) ? fast : RopeScaling.Yarn.UsualFastTurns,
            metadata.TryGetSingle(Key("yarn_beta_slow"), out var slow) ? slow : RopeScaling.Yarn.UsualSlowTurns,
            Magnitude(factor));
    }

    /// <summary>Files state it, or the weight that it is divided by; a further factor of the model's may come to either.</summary>
    float Magnitude(float factor)
    {
        var made = metadata.TryGetSingle(Key("yarn_log_multiplier"), out var weight) ? weight : 0;
        var magnitude = metadata.TryGetSingle(Key("yarn_attn_factor"), out var stated) ? stated : RopeScaling.Yarn.MagnitudeOf(factor, made: made);
        return metadata.TryGetSingle(Key("attn_factor"), out var further) ? magnitude * further : magnitude;
    }
}
