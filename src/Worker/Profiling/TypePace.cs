namespace LlamaCluster.Worker.Profiling;

/// <summary>Multiply-adds per second with weights of one type; see ProductPace in membership.proto.</summary>
sealed record TypePace(string Type, double OneRow, double ManyRows);
