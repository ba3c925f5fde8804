namespace LlamaCluster.Cli.Bench;

/// <summary>What is measured of a whole cluster on this machine.</summary>
/// <param name="Model">A path, or a shape written as one.</param>
/// <param name="Workers">Processes; at least 1.</param>
/// <param name="TensorParallel">Workers that share each stage.</param>
sealed record ClusterBenchOptions(string Model, int Workers, int TensorParallel, BenchOptions Load);
