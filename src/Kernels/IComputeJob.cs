namespace LlamaCluster.Kernels;

/// <summary>Work that <see cref="ComputeThreads"/> share. A struct, so that running it allocates nothing.</summary>
public interface IComputeJob
{
    /// <summary>Does this thread's part.</summary>
    /// <param name="thread">0 .. <paramref name="threads"/> - 1; 0 is the caller of <see cref="ComputeThreads.Run"/>.</param>
    /// <param name="threads">How many threads share the job.</param>
    void Run(int thread, int threads);
}
