namespace LlamaCluster.Model.Weights;

/// <summary>The progress of a whole whose parts are done one after the other and each count from 0.</summary>
sealed class PartsProgress(IProgress<long> whole)
{
    long _done;

    /// <summary>For the next part; those before are complete.</summary>
    public IProgress<long> NextPart() => new Part(this, whole, _done);

    sealed class Part(PartsProgress parts, IProgress<long> whole, long before) : IProgress<long>
    {
        public void Report(long value)
        {
            parts._done = before + value;
            whole.Report(parts._done);
        }
    }
}
