namespace LlamaCluster.Model.Formats;

/// <summary>A tensor and where its data stands; all of it is known to be inside the file.</summary>
/// <param name="Offset">Bytes from the start of the file.</param>
sealed record StoredTensor(TensorInfo Info, ModelFile File, long Offset);
