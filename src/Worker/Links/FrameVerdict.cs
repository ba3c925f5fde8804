namespace LlamaCluster.Worker.Links;

/// <summary>What became of a frame that arrived.</summary>
enum FrameVerdict
{
    /// <summary>Kept; more rows of its step are to come.</summary>
    Kept,

    /// <summary>All rows of its step are here, or were before.</summary>
    StepComplete,

    Refused,
}
