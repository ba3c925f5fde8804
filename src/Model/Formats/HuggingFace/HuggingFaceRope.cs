using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// RoPE's settings in config.json: <c>rope_theta</c> beside <c>rope_scaling</c> (null, or an object with <c>type</c> or
/// <c>rope_type</c>), or both in one object <c>rope_parameters</c>, as transformers 5 writes them.
/// </summary>
/// <param name="context">The model's longest sequence.</param>
sealed class HuggingFaceRope(JsonFields config, float defaultTheta, int context)
{
    readonly JsonFields? _settings = config.FindObject("rope_parameters") ?? config.FindObject("rope_scaling");

    public float Theta() => _settings?.FindSingle("rope_theta") ?? config.FindSingle("rope_theta") ?? defaultTheta;

    public RopeScaling? Scaling()
    {
        RefusePartial(config);
        RefuseOldCondensing();
        if (_settings is null) return null;
        RefusePartial(_settings);
        foreach (var kind in (string[])["full_attention", "sliding_attention"])
            if (_settings.Has(kind)) throw _settings.Error(kind, "is there; only models whose layers all rotate alike are supported");
        // Settings without a type, and without a factor that a type would use, say nothing.
        var type = _settings.FindString("rope_type") ?? (_settings.Has("factor") ? _settings.GetString("type") : _settings.FindString("type") ?? "default");
        return type switch
        {
            "default" => null,
            "linear" => new RopeScaling.Linear(_settings.GetSingle("factor")),
            "dynamic" => Dynamic(_settings),
            "yarn" => Yarn(_settings),
            "llama3" => new RopeScaling.Llama3(
                _settings.GetSingle("factor"),
                _settings.GetSingle("low_freq_factor"),
                _settings.GetSingle("high_freq_factor"),
                _settings.GetInt32("original_max_position_embeddings")),
            var other => throw _settings.Error(
                "rope_type", $"is {ErrorText.Quote(other)}, which is not supported; 'default', 'linear', 'dynamic', 'yarn' and 'llama3' are"),
        };
    }

    /// <summary>Mistral 3's queries grow each time that a further original context is full.</summary>
    public QueryScale? Growth() => NotZero(_settings?.FindSingle("llama_4_scaling_beta")) is { } growth
        ? new QueryScale(growth, OriginalContext(_settings!), Offset: 0)
        : null;

    /// <summary>
    /// Nothing: sequences that are longer than max_position_embeddings are what it is for, and there are none. GGUF has no word for it either.
    /// </summary>
    static RopeScaling? Dynamic(JsonFields settings) =>
        settings.Has("alpha") ? throw settings.Error("alpha", "is there; only the dynamic scaling of transformers, by factor, is supported") : null;

    /// <summary>With the defaults of transformers' "yarn".</summary>
    RopeScaling.Yarn Yarn(JsonFields settings)
    {
        if (settings.FindBoolean("truncate") is false)
            throw settings.Error("truncate", "is false, which is not supported; a ramp that begins and ends at whole pairs is (truncate: true)");
        if (settings.FindSingle("extrapolation_factor") is { } mix and not 1)
            throw settings.Error("extrapolation_factor", $"is {mix}, which is not supported; 1 is, the whole of YaRN");
        var original = OriginalContext(settings);
        var factor = settings.FindSingle("factor") ?? context / (float)original;
        return new RopeScaling.Yarn(
            factor, original,
            NotZero(settings.FindSingle("beta_fast")) ?? RopeScaling.Yarn.UsualFastTurns,
            NotZero(settings.FindSingle("beta_slow")) ?? RopeScaling.Yarn.UsualSlowTurns,
            settings.FindSingle("attention_factor") ?? settings.FindSingle("attn_factor") ?? Magnitude(settings, factor));
    }

    int OriginalContext(JsonFields settings) =>
        settings.FindInt32("original_max_position_embeddings") ?? config.FindInt32("original_max_position_embeddings") ?? context;

    /// <summary>One of the two weights alone says nothing.</summary>
    static float Magnitude(JsonFields settings, float factor) =>
        (NotZero(settings.FindSingle("mscale")), NotZero(settings.FindSingle("mscale_all_dim"))) is ({ } weight, { } made)
            ? RopeScaling.Yarn.MagnitudeOf(factor, weight, made)
            : RopeScaling.Yarn.MagnitudeOf(factor);

    static float? NotZero(float? value) => value is 0 ? null : value;

    static void RefusePartial(JsonFields settings)
    {
        if (settings.FindSingle("partial_rotary_factor") is { } factor and not 1)
            throw settings.Error("partial_rotary_factor", $"is {factor}; only heads that are rotated as a whole are supported");
    }

    // A form of linear scaling that some models of 2023 brought their own code for.
    void RefuseOldCondensing()
    {
        if (config.FindSingle("rope_condense_ratio") is { } ratio and not 1 && _settings is null)
            throw config.Error("rope_condense_ratio", $"is {ratio}, which is not supported: give rope_scaling instead");
    }
}
