"""Recurrent layers and what stands around them, in plain torch."""

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.embedding import TokenEmbedding
from rnn_lightning.layers.gru import GRU
from rnn_lightning.layers.head import TiedHead, make_head
from rnn_lightning.layers.lstm import LSTM
from rnn_lightning.layers.lstm_ln import LayerNormLSTM
from rnn_lightning.layers.mingru import MinGRU
from rnn_lightning.layers.pooling import Pooling, PoolingName
from rnn_lightning.layers.rnn import RNN
from rnn_lightning.layers.scan import scan
from rnn_lightning.layers.stack import Bidirectional, RecurrentStack, StackState

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "LayerNormLSTM",
    "MinGRU",
    "Pooling",
    "PoolingName",
    "RecurrentLayer",
    "RecurrentStack",
    "StackState",
    "State",
    "TiedHead",
    "TokenEmbedding",
    "make_head",
    "scan",
]
