using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// RoPE's settings in config.json: <c>rope_theta</c> beside <c>rope_scaling</c> (null, or an object with <c>type</c> or
/// <c>rope_type</c>), or both in one object <c>rope_parameters</c>, as transformers 5 writes them.
/// </summary>
sealed class HuggingFaceRope(JsonFields config)
{
    const float DefaultTheta = 10_000;

    readonly JsonFields? _settings = config.FindObject("rope_parameters") ?? config.FindObject("rope_scaling");

    public float Theta() => _settings?.FindSingle("rope_theta") ?? config.FindSingle("rope_theta") ?? DefaultTheta;

    public RopeScaling? Scaling()
    {
        RefusePartial(config);
        RefuseOldCondensing();
        if (_settings is null) return null;
        RefusePartial(_settings);
        return (_settings.FindString("rope_type") ?? _settings.GetString("type")) switch
        {
            "default" => null,
            "linear" => new RopeScaling.Linear(_settings.GetSingle("factor")),
            "llama3" => new RopeScaling.Llama3(
                _settings.GetSingle("factor"),
                _settings.GetSingle("low_freq_factor"),
                _settings.GetSingle("high_freq_factor"),
                _settings.GetInt32("original_max_position_embeddings")),
            var other => throw _settings.Error("rope_type", $"is {ErrorText.Quote(other)}, which is not supported; 'default', 'linear' and 'llama3' are"),
        };
    }

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
