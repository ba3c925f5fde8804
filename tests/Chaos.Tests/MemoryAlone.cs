namespace LlamaCluster.Chaos.Tests;

/// <summary>Tests that measure the memory of this process: no other test runs in it meanwhile.</summary>
[CollectionDefinition(nameof(MemoryAlone), DisableParallelization = true)]
public sealed class MemoryAlone;
