"""What shrinks a config: limits for keys by pattern, never by model.

Equal limits for equal things keep a config consistent: widths that had to agree still do.
"""

from __future__ import annotations

import re

WIDTH, HEADS, HEAD_DIM = 64, 4, 16
"""Width, heads, and width of a head of a small model."""

VOCABULARY = 256
"""Tokens of a small model, of which the last are special."""

DEPTH = re.compile(
    r"(^|_)(num_(\w+_)?layers|n_layers?|\w*layers|depth|num_blocks|num_layers_per_stack)$"
)
"""Counts of layers."""

NOT_DEPTH = re.compile(
    r"(feat_extract|extract|adapter|lstm|postnet|hooked|target|no_rope|kv_shared)_layers$|"
    r"^(num_query_layers|use_.*|tie_.*|freeze_.*)$"
)

LAYERS = 2
"""Layers of a stack whose layers are all of a kind; one of each kind else."""

MOST_LAYERS = 6

LIMITS: tuple[tuple[str, int], ...] = (
    # which layers are different
    (r"(layer_period|layer_interval|sparse_step|_every_n_layers|sliding_window_pattern)$", 2),
    (r"layer_offset$", 1),
    (r"^(first_k_dense_replace|num_dense_layers|moe_layer_start_index)$", 1),
    (r"^(max_window_layers|insert_layer_id)$", 1),
    # experts
    (r"^(n_group|num_expert_group)$", 2),
    (r"^(topk_group)$", 1),
    (r"experts?_per_tok(en)?$|^(moe_)?top_?k$|^moe_k$", 2),
    (r"^index_topk$", 16),
    (r"^index_kpool$", 4),
    (r"^(n_groups|mamba_n_groups)$", 2),
    (r"^num_kv_shared_layers$", 0),
    (r"^num_frames$", 4),
    (r"shared_experts$", 1),
    (r"experts$", 4),
    # sizes of heads
    (r"^(qk_rope_head_dim|qk_nope_head_dim|rotary_dim)$", HEAD_DIM // 2),
    (r"(^|_)(head_dim|d_kv|dim_head|d_head|kv_channels|head_size)$", HEAD_DIM),
    (r"^query_pre_attn_scalar$", HEAD_DIM),
    # numbers of heads
    (r"(key_value|kv)_heads(_per_layer)?$|^kv_n_heads$", 2),
    (r"heads(_per_layer)?$|^n_head$", HEADS),
    # vocabularies and lengths
    (r"vocab_size\w*$|_vocab$|^num_embeddings$|^codebook_size$", VOCABULARY),
    (r"^(max_source_positions)$", 64),
    (r"position_embeddings$|positions$|^max_seq_len$|^n_ctx$|^max_pos_emb$", 256),
    (r"^(sliding_window\w*|attention_window|attention_chunk_size|local_attention\w*)$", 16),
    (r"^(num_queries|two_stage_num_proposals|num_latents|\w*num_query_tokens)$", 16),
    (r"^(mm_tokens_per_image)$", 4),
    (r"^(image_seq_length|num_image_tokens|num_patches)$", 16),
    # low ranks
    (r"(lora_rank|_rank|time_step_rank)$", 16),
    # widths
    (r"^(moe_|shared_|expert_)\w*(intermediate_size|ffn_\w*size)$", 32),
    (r"(intermediate_(size|dim)|ffn_(dim|hidden_size)|d_ff|mlp_dim|dff|d_inner|ffn)$", 2 * WIDTH),
    (r"^(conv_dim|(decoder_)?hidden_sizes|embed_dim_per_stage|dims)$", 2 * WIDTH),
    (r"^backbone_channel_list$", 2 * WIDTH),
    (r"^attention_hidden_size$", 2 * WIDTH),
    (r"(hidden_size|hidden_dim|d_model|n_embd|embed_dim|emb_dim|embedding_size)$", WIDTH),
    (
        r"(embedding_dim|projection_dim|proj_dim|projection_size|output_dim|classifier_proj_size)$",
        WIDTH,
    ),
    (r"^(upsample_groups)$", WIDTH),
    (r"^mamba_d_ssm$", 2 * WIDTH),
    (r"^(mamba_d_state|state_size|ssm_state_size)$", 16),
    (
        r"^(dim|project_dim|hidden_channels|output_channels|fpn_hidden_size|d_embed|d_latents)$",
        WIDTH,
    ),
)

IMAGE = re.compile(r"(^|_)(image_size|img_size|crop_size|pretrain_image_size)$")
PATCHES = 4
"""Patches in a row of an image."""

TURNS = ("block_types", "L_bp_cycles")
"""Lists of the kinds of layers that take turns."""

STAGE_DEPTHS = ("depths", "blocks_per_stage", "num_blocks", "block_sizes")
"""Ends of the keys of lists with the layers of each stage."""
