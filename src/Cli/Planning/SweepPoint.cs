namespace LlamaCluster.Cli.Planning;

/// <summary>What one way of splitting reaches at one value of a sweep's axis.</summary>
/// <param name="Series">"best", "pipeline" (stages of one worker) or "tensor group" (one stage of all workers).</param>
/// <param name="SecondsPerToken">Of one stream; null: the model does not fit.</param>
/// <param name="TokensPerSecond">Of all the streams that were asked for.</param>
/// <param name="Shape">Ranks of each stage, like 4+4+2; runs are written 2x16.</param>
sealed record SweepPoint(string Series, double Value, double? SecondsPerToken, double? TokensPerSecond, string Shape, string Limit);
